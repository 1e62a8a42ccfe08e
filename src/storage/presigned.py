"""An address of S3 that says how to answer it (AWS Signature Version 4, in the query).

obstore signs addresses, but takes no `response-…` parameters (arrow-rs-object-store, issue 791). So what it has signed
is signed again, with them: host, path, scope and time stay as it made them.
"""

import hashlib
import hmac
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from ..storage_url import S3Address

_SIGNATURE = "X-Amz-Signature"


@dataclass(frozen=True, slots=True)
class Secrets:
    """The pair of keys that may sign here."""

    key_id: str
    secret: str = field(repr=False)

    @classmethod
    def of(cls, address: S3Address) -> "Secrets":
        """Those of the address, else of the environment, where obstore looks too."""
        if address.key_id:
            return cls(address.key_id, address.secret)
        return cls(os.environ.get("AWS_ACCESS_KEY_ID", ""), os.environ.get("AWS_SECRET_ACCESS_KEY", ""))


def with_headers(signed: str, headers: Mapping[str, str], secrets: Secrets) -> str | None:
    """A signed address, signed again with parameters more. None if it was signed by a key that is not this one."""
    parts = urlsplit(signed)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    key_id, _, scope = query["X-Amz-Credential"].partition("/")
    if key_id != secrets.key_id or not secrets.secret:
        return None
    query.pop(_SIGNATURE)
    canonical_query = urlencode(sorted((query | dict(headers)).items()), quote_via=quote, safe="-_.~")
    request = f"GET\n{parts.path}\n{canonical_query}\nhost:{parts.netloc}\n\nhost\nUNSIGNED-PAYLOAD"
    digest = hashlib.sha256(request.encode()).hexdigest()
    text = f"{query['X-Amz-Algorithm']}\n{query['X-Amz-Date']}\n{scope}\n{digest}"
    key = f"AWS4{secrets.secret}".encode()
    for step in (*scope.split("/"), text):
        key = hmac.digest(key, step.encode(), "sha256")
    return parts._replace(query=f"{canonical_query}&{_SIGNATURE}={key.hex()}").geturl()
