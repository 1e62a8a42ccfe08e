"""An S3 of the tests' own: moto's server, on a free loopback port, in a thread of this process."""

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import boto3
from moto.server import ThreadedMotoServer

KEY_ID, SECRET = "key", "s3cr/et+"
ENCODED = "key:s3cr%2Fet+"


@contextmanager
def moto_s3() -> Iterator[str]:
    """An S3 while the context lasts: the storage URL of an empty bucket in it; `under` gives a test its own place."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        endpoint = "http://{}:{}".format(*server.get_host_and_port())
        url = f"s3://{ENCODED}@files?region=ap-northeast-2&endpoint={endpoint}"
        client(url).create_bucket(Bucket="files", CreateBucketConfiguration={"LocationConstraint": "ap-northeast-2"})
        yield url
    finally:
        server.stop()


def under(url: str, prefix: str = "") -> str:
    """The storage URL of a place of its own in the bucket."""
    return url.replace("@files?", f"@files/{prefix or uuid4().hex}?")


def client(url: str):
    """boto3's client of a storage URL: another one than ours, to look at what ours has done."""
    query = parse_qs(urlsplit(url).query)
    return boto3.client(
        "s3",
        endpoint_url=query["endpoint"][0],
        region_name=query["region"][0],
        aws_access_key_id=KEY_ID,
        aws_secret_access_key=SECRET,
    )
