"""What CHATTY_STORAGE_URL may say: a directory, or a bucket of a store that speaks S3."""

import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

SCHEME: Final = "s3://"
OPTIONS: Final = (
    "region",
    "endpoint",
    "session_token",
    "virtual_hosted_style_request",
    "disable_bulk_delete",
)
"""What may stand behind the `?`: obstore's own words, so that its documentation explains them."""

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]")
_PREFIX = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")
_ENDPOINT = re.compile(r"https?://[A-Za-z0-9.\-\[\]:]+(/[^\s?#@]*)?")
_SWITCHES = frozenset(["virtual_hosted_style_request", "disable_bulk_delete"])


@dataclass(frozen=True, slots=True)
class S3Address:
    """A place in a bucket. Without `key_id`, obstore looks for credentials in the environment and on the machine."""

    bucket: str
    prefix: str
    key_id: str = field(repr=False)
    secret: str = field(repr=False)
    options: dict[str, str] = field(repr=False)


def s3_address(url: str) -> S3Address | None:
    """What a storage URL says of S3; None for a directory. Raises ValueError, which never shows what was given."""
    if not url.startswith(SCHEME):
        if "://" in url or "\0" in url:
            raise ValueError(f"must be a directory, or begin with {SCHEME}")
        return None
    parts = _split(url)
    keys, _, bucket = parts.netloc.rpartition("@")
    key_id, _, secret = keys.partition(":")
    prefix = parts.path.strip("/")
    if keys and not (key_id and secret):
        raise ValueError(f"must name both keys, as in {SCHEME}key:secret@bucket, or neither")
    if not _BUCKET.fullmatch(bucket):
        raise ValueError(f"must name a bucket, as in {SCHEME}bucket or {SCHEME}key:secret@bucket")
    if prefix and not _PREFIX.fullmatch(prefix):
        raise ValueError("has a prefix that is not made of letters, digits, -, _, . and /")
    return S3Address(bucket, prefix, unquote(key_id), unquote(secret), _options(parts.query))


def without_credentials(storage_url: str) -> str:
    """A storage URL as it may be shown to people and logs."""
    address = s3_address(storage_url)
    return f"{SCHEME}{'/'.join(filter(None, (address.bucket, address.prefix)))}" if address else storage_url


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = None
    # A secret with one of these in it ends the part of the URL that it stands in.
    if parts is None or "@" in parts.path + parts.query + parts.fragment or parts.fragment:
        raise ValueError("needs its keys percent-encoded: / as %2F, @ as %40, : as %3A, ? as %3F, # as %23") from None
    return parts


def _options(query: str) -> dict[str, str]:
    options = dict(parse_qsl(query.replace("+", "%2B"), keep_blank_values=True))
    if unknown := options.keys() - set(OPTIONS):
        # Not named: half of a secret may stand here.
        raise ValueError(f"has {len(unknown)} unknown options; those that there are: {', '.join(OPTIONS)}")
    if not all(options.values()):
        raise ValueError("has an option without a value")
    if "endpoint" in options and not (
        _ENDPOINT.fullmatch(options["endpoint"]) and _has_sound_port(options["endpoint"])
    ):
        raise ValueError("has an endpoint that is not like https://minio.example.com")
    if not {options[name] for name in _SWITCHES & options.keys()} <= {"true", "false"}:
        raise ValueError(f"has a switch that is neither true nor false; switches: {', '.join(sorted(_SWITCHES))}")
    return options


def _has_sound_port(address: str) -> bool:
    try:
        return urlsplit(address).port != 0
    except ValueError:
        return False
