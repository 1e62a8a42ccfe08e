"""How far a client may go before the socket server says no or lets go of it. Times in seconds, sizes in bytes."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of one server; tests make them smaller.

    `per_user` and `per_address` bound open connections; None lifts the bound (`CHATTY_RATE_LIMITS=off`).
    """

    # Together with the grace of presence under 30 s: so soon is somebody offline whose phone lost the network (§9).
    ping_interval: float = 12
    ping_timeout: float = 10
    connect_seconds: float = 10
    upgrade_seconds: float = 10
    body_seconds: float = 10
    event_seconds: float = 8
    kick_seconds: float = 0.2
    sweep_seconds: float = 0.5
    message_bytes: int = 64 * 1024
    queue_frames: int = 512
    queue_bytes: int = 1024 * 1024
    malformed: int = 10
    underway: int = 64
    per_user: int | None = 10
    per_address: int | None = 200  # an office behind one address; per_user bounds each in it


UNCAPPED = Limits(per_user=None, per_address=None)
