"""Asking others over HTTP, within bounds."""


class Outbound:
    """An HTTP client made at its first use, inside the event loop."""

    async def close(self) -> None:
        """End what is under way; no further request is made."""
