"""What may come of a push instead of its being accepted: a reason for the log, one word of ours."""


class PushFailed(Exception):
    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Gone(PushFailed):
    """The subscription has ended, and should be forgotten."""


class Refused(PushFailed):
    """Trying again would not help. `status`: what the push service answered, None if it was not asked."""

    def __init__(self, reason: str, status: int | None = None) -> None:
        super().__init__(reason)
        self.status = status


class TryLater(PushFailed):
    """It may go well another time: after so many seconds, if the push service named a time."""

    def __init__(self, reason: str, retry_after_seconds: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after_seconds = retry_after_seconds
