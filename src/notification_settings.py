"""When people are told of what they have not read: settings named `CHATTY_NOTIFICATIONS__…`."""

import base64
import re
from datetime import timedelta
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

from .origins import origin_of

YEAR_SECONDS = 365 * 24 * 3600

_KEY = re.compile(r"[A-Za-z0-9_-]{43}=?")
_ORDER_OF_P256 = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


class NotificationSettings(BaseModel):
    """`vapid_private_key`: empty for the one that belongs to the secret that signs tokens.

    `push_origins`: further origins of push services, with blanks between them, that may be anywhere.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    push_after_seconds: Annotated[float, Field(ge=0, le=YEAR_SECONDS)] = 20
    email_after_minutes: Annotated[float, Field(ge=0, le=YEAR_SECONDS / 60)] = 15
    email_every_minutes: Annotated[float, Field(ge=0, le=YEAR_SECONDS / 60)] = 60
    keep_days: Annotated[float, Field(gt=0, le=36_500)] = 90
    vapid_private_key: Annotated[str, Field(repr=False)] = ""
    push_origins: str = ""

    @field_validator("vapid_private_key")
    @classmethod
    def _scalar(cls, value: str) -> str:
        """As `push.vapid.VapidKey.from_text` wants it; nothing that is refused is shown."""
        value = value.strip()
        if value and not (_KEY.fullmatch(value) and 0 < _number(value) < _ORDER_OF_P256):
            raise ValueError("must be 32 bytes in base64url, as `chatty vapid-keys` prints")
        return value

    @field_validator("push_origins")
    @classmethod
    def _addresses(cls, value: str) -> str:
        for address in value.split():
            try:
                if address.rstrip("/").count("/") != 2:
                    raise ValueError
                origin_of(address)
            except ValueError:
                raise ValueError(f"{address} is no origin like https://push.example.com") from None
        return value

    @property
    def push_after(self) -> timedelta:
        """How long a line is unread before a push tells of it."""
        return timedelta(seconds=self.push_after_seconds)

    @property
    def email_after(self) -> timedelta:
        """How long something is unread before a mail tells of it."""
        return timedelta(minutes=self.email_after_minutes)

    @property
    def email_every(self) -> timedelta:
        """How long after a mail the next one may come, while nothing is read."""
        return timedelta(minutes=self.email_every_minutes)

    @property
    def kept(self) -> timedelta:
        """For how long a notification is kept, and what became of one."""
        return timedelta(days=self.keep_days)

    @property
    def origins(self) -> frozenset[str]:
        """Those of `push_origins`, as `origin_of` writes them."""
        return frozenset(origin_of(address) for address in self.push_origins.split())


def _number(key: str) -> int:
    return int.from_bytes(base64.urlsafe_b64decode(key[:43] + "="))
