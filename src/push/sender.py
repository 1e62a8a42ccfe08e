"""Sending a push: encrypted by pywebpush, signed, and posted through the door."""

import re
from collections.abc import Collection
from typing import Final, Literal

from .door import Door
from .endpoints import Subscription, audience_of, check_endpoint
from .failures import Refused
from .vapid import VapidKey, VapidTokens

Urgency = Literal["very-low", "low", "normal", "high"]

MAX_PAYLOAD: Final = 3993
"""Bytes: encrypted (86 of a header, 17 of an end) they are the 4,096 that every push service takes (RFC 8291 §4)."""
_TOPIC: Final = re.compile(r"[A-Za-z0-9_-]{1,32}")


class PushSender:
    """Sends pushes in the name of `key`. `subject`: see VapidTokens; `allowed_origins`: see check_endpoint."""

    def __init__(self, key: VapidKey, subject: str, allowed_origins: Collection[str] = ()) -> None:
        self._tokens = VapidTokens(key, subject)
        self._allowed = frozenset(allowed_origins)
        self._door = Door(self._allowed)

    async def send(
        self, subscription: Subscription, payload: bytes, *, topic: str | None, ttl: int, urgency: Urgency
    ) -> None:
        """Hand a payload over to the push service, which keeps it for `ttl` seconds while the browser is away.

        A newer push of the same `topic`, at most 32 characters of base64url, takes the place of one that still waits.

        Raises Gone, Refused, TryLater; ValueError for a payload or topic that no push service would take.
        """
        if not 0 < len(payload) <= MAX_PAYLOAD:
            raise ValueError(f"a payload of {len(payload)} bytes: 1 to {MAX_PAYLOAD} can be pushed")
        if topic is not None and not _TOPIC.fullmatch(topic):
            raise ValueError("a topic has 1 to 32 characters of base64url")
        try:
            # Here too, and not only when people subscribe: what is allowed may have changed since.
            check_endpoint(subscription.endpoint, self._allowed)
        except ValueError:
            raise Refused("address_not_allowed") from None
        await self._push(subscription, payload, ttl, self._headers(subscription.endpoint, topic, urgency))

    async def close(self) -> None:
        """End what is under way; whatever is sent after that is to be tried later."""
        await self._door.close()

    def _headers(self, endpoint: str, topic: str | None, urgency: Urgency) -> dict[str, str]:
        headers = {"Authorization": self._tokens.authorization(audience_of(endpoint)), "Urgency": urgency}
        return headers if topic is None else headers | {"Topic": topic}

    async def _push(self, subscription: Subscription, payload: bytes, ttl: int, headers: dict[str, str]) -> None:
        from pywebpush import webpush_async  # not at start

        keys = {"p256dh": subscription.p256dh, "auth": subscription.auth}
        await webpush_async(
            {"endpoint": subscription.endpoint, "keys": keys},
            payload,
            ttl=ttl,
            headers=headers,
            aiohttp_session=self._door,
        )
