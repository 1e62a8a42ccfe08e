"""Where committed events leave the transaction. In this process for now; several nodes join here later."""

import logging
from collections.abc import Callable, Sequence

from ..events import Event

log = logging.getLogger(__name__)

Listener = Callable[[Sequence[Event]], None]


class Bus:
    """Hands events to everyone who listens. `publish` is what the database calls after a COMMIT."""

    def __init__(self) -> None:
        self._listeners: list[Listener] = []

    def subscribe(self, listener: Listener) -> None:
        """Call `listener` with the events of each transaction, in the order in which they were announced."""
        self._listeners.append(listener)

    def publish(self, events: Sequence[Event]) -> None:
        """Tell every listener. Never raises: what is committed stays committed, a lost hint is recovered by `sync`."""
        for listener in self._listeners:
            try:
                listener(events)
            except Exception:
                log.exception("A listener failed; its clients catch up by sync.")
