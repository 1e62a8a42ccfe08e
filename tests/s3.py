"""An S3 of the tests' own: moto's server, on a free loopback port, in a thread of this process."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import boto3
from moto.server import ThreadedMotoServer

KEY_ID, SECRET = "key", "s3cr/et+"
REGION = "ap-northeast-2"
ENCODED = "key:s3cr%2Fet+"


class Moto:
    """An S3 that can go away and come back, with what it holds. `url`: the storage URL of a bucket in it."""

    def __init__(self, bucket: str = "files") -> None:
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self._server.start()
        _, self._port = self._server.get_host_and_port()
        self.url = f"s3://{ENCODED}@{bucket}?region={REGION}&endpoint=http://127.0.0.1:{self._port}"
        s3 = client(self.url)
        with suppress(s3.exceptions.BucketAlreadyOwnedByYou):  # moto holds it for this process, not for one server
            s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})

    def stop(self) -> None:
        """From here on connections are refused."""
        self._server.stop()

    def start(self) -> None:
        """Come back at the same address: what moto holds belongs to this process and not to its server."""
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=self._port, verbose=False)
        self._server.start()
        self._server.get_host_and_port()


@contextmanager
def moto_s3() -> Iterator[str]:
    """An S3 while the context lasts: the storage URL of an empty bucket in it; `under` gives a test its own place."""
    moto = Moto()
    try:
        yield moto.url
    finally:
        moto.stop()


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
