"""When people are told of what they have not read: settings named `CHATTY_NOTIFICATIONS__…`."""

from datetime import timedelta
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

YEAR_SECONDS = 365 * 24 * 3600


class NotificationSettings(BaseModel):
    """`vapid_private_key`: empty for one that is made at the first start and kept in the data directory.

    `push_origins`: further origins of push services, with blanks between them, that may be anywhere.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    push_after_seconds: Annotated[float, Field(ge=0, le=YEAR_SECONDS)] = 20
    email_after_minutes: Annotated[float, Field(ge=0, le=YEAR_SECONDS / 60)] = 15
    email_every_minutes: Annotated[float, Field(ge=0, le=YEAR_SECONDS / 60)] = 60
    keep_days: Annotated[float, Field(gt=0, le=36_500)] = 90
    vapid_private_key: Annotated[str, Field(repr=False)] = ""
    push_origins: str = ""

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
        """Those of `push_origins`."""
        return frozenset(origin.rstrip("/") for origin in self.push_origins.split())
