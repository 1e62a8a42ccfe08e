"""What can go wrong on the way to an identity: a reason for the log, and the one word that a person is told."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

import structlog

from ..errors import AccessDenied, ChattyError, ProviderUnavailable, SignInFailed

_log = structlog.get_logger("chatty.oauth")


class Failed(Exception):
    """`reason`: one word of ours, never of the provider's."""

    told: ClassVar[type[ChattyError]]

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Cancelled(Failed):
    """The person did not want to."""

    told = AccessDenied


class Unanswered(Failed):
    """The provider is down, or its answer is none."""

    told = ProviderUnavailable


class Refused(Failed):
    """What was said does not verify."""

    told = SignInFailed


@contextmanager
def told_of(provider: str, otherwise: type[ChattyError] = SignInFailed) -> Iterator[None]:
    """Turn whatever is raised inside into an error for the person, after one log line without data of theirs.

    `otherwise`: what a failure becomes that nobody thought of.
    """
    try:
        yield
    except Failed as failure:
        note = _log.info if isinstance(failure, Cancelled) else _log.warning
        note("asking a provider failed", provider=provider, reason=failure.reason)
        raise failure.told from None
    except Exception:
        _log.exception("asking a provider failed", provider=provider, reason="unexpected")
        raise otherwise from None
