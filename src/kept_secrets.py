"""Secrets that the service makes for itself once, and keeps in the data directory."""

import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path


def kept(path: Path, make: Callable[[], str]) -> str:
    """The content of `path`, filled first with what `make` returns if there is no such file. Raises OSError."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        # Linked when complete: a process that starts at the same time sees the whole secret or no file. Mode 0600.
        with tempfile.NamedTemporaryFile("w", dir=path.parent) as new, suppress(FileExistsError):
            new.write(make())
            new.flush()
            os.fsync(new.fileno())
            os.link(new.name, path)
    return path.read_text().strip()
