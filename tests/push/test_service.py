"""The stand-in is as strict as it says: whatever breaks a rule is refused, and told."""

import json
import time
from collections.abc import Callable
from typing import Any

import aiohttp
import http_ece
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from src.push.base64url import decoded, encoded
from src.push.vapid import VapidKey

from .service import Browser, PushService

Change = Callable[["Request"], None]


class Request:
    """A push that is asked well, until something about it is changed."""

    def __init__(self, service: PushService, browser: Browser, key: VapidKey) -> None:
        self.browser, self.key, self.method, self.keyid = browser, key, "POST", key.public_key
        self.claims: dict[str, Any] = {"aud": service.url, "exp": int(time.time()) + 60, "sub": "mailto:a@b.example"}
        self.headers = {"TTL": "60", "Content-Encoding": "aes128gcm", "Urgency": "high", "Topic": "room"}
        self.payload, self.auth, self.record_size = b"{}", browser.secret, 4096

    async def answered(self) -> int:
        token = self.key.signed(self.claims)
        headers = {"Authorization": f"vapid t={token}, k={self.keyid}"} | self.headers
        body = http_ece.encrypt(
            self.payload,
            private_key=ec.generate_private_key(ec.SECP256R1()),
            dh=decoded(self.browser.p256dh),
            auth_secret=self.auth,
            rs=self.record_size,
        )
        async with (
            aiohttp.ClientSession() as http,
            http.request(self.method, self.browser.endpoint, headers=headers, data=body) as answer,
        ):
            return answer.status


@pytest.fixture
def request_(service: PushService, browser: Browser, key: VapidKey) -> Request:
    return Request(service, browser, key)


async def test_what_is_asked_well_is_accepted(request_: Request, service: PushService) -> None:
    assert await request_.answered() == 201
    (push,) = await service.until(1)
    assert (push.json, push.topic, push.urgency, push.ttl) == ({}, "room", "high", 60)


def header(name: str, value: str) -> Change:
    return lambda request: request.headers.update({name: value})


def claim(**claims: Any) -> Change:
    return lambda request: request.claims.update(claims)


def other(**fields: Any) -> Change:
    return lambda request: vars(request).update(fields)


def told_in(form: str) -> Change:
    """The same token, in another header."""
    return lambda request: request.headers.update(
        {"Authorization": form.format(t=request.key.signed(request.claims), k=request.key.public_key)}
    )


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (other(method="PUT"), "PUT is no way"),
        (header("TTL", ""), "TTL"),
        (header("TTL", "-1"), "TTL"),
        (header("Urgency", "urgent"), "Urgency"),
        (header("Topic", "a" * 33), "Topic"),
        (header("Topic", "a.b"), "Topic"),
        (header("Content-Encoding", "aesgcm"), "Content-Encoding"),
        (header("Cookie", "a=b"), "nobody wants"),
        (header("Crypto-Key", "p256ecdsa=x"), "nobody wants"),
        (header("Authorization", ""), "no VAPID header"),
        (told_in("WebPush {t}"), "no VAPID header"),
        (told_in("vapid t={t}"), "no VAPID header"),
        (other(key=VapidKey.generate()), "a forged signature"),
        (other(keyid=VapidKey.generate().public_key), "not the key"),
        (claim(aud="https://push.example"), "for https://push.example"),
        (claim(exp=int(time.time()) - 1), "expires"),
        (claim(exp=int(time.time()) + 25 * 3600), "expires"),
        (claim(exp="soon"), "expires"),
        (claim(sub="chatty"), "nobody to write to"),
        (claim(iat=1), "claims"),
        (other(auth=bytes(16)), "encrypted for somebody else"),
        (other(payload=b"x" * 3994), "4097 bytes"),
        (other(record_size=18), "not one record"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_what_breaks_a_rule_is_not(request_: Request, service: PushService, change: Change, fault: str) -> None:
    change(request_)
    assert await request_.answered() == 400
    (said,) = service.faults
    assert fault in said
    assert (service.asked, service.pushes) == ([], [])
    service.faults.clear()


async def test_a_browser_that_left_is_gone_and_one_that_never_was_unknown(
    request_: Request, browser: Browser, service: PushService
) -> None:
    browser.leave()
    assert await request_.answered() == 410
    browser.endpoint += "x"
    assert await request_.answered() == 404
    assert len(service.asked) == 1


def test_a_subscription_is_what_a_browser_says(browser: Browser) -> None:
    said = json.loads(json.dumps(browser.subscription()))
    assert said == {"endpoint": browser.endpoint, "keys": {"p256dh": browser.p256dh, "auth": encoded(browser.secret)}}
