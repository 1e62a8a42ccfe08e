"""How a process gives up, for good, whatever it does not need to turn bytes into pixels.

A decoder that is taken over by a picture finds no file, socket, program or other process within its reach, and little
memory and time. Windows has nothing of this: there the parent's clock is the only limit.
"""

import os
import sys
from contextlib import suppress

KINDNESS = 10  # chat comes first
_DEATH_SIGNAL, _NO_NEW_PRIVILEGES = 1, 38


def confine(*, cpu_seconds: int, memory: int, written: int) -> None:
    """From here on: so many seconds of work, bytes of address space and bytes in a file, and nothing can be opened.

    What is open stays so. Whatever is to be imported must have been.
    """
    if sys.platform == "win32":
        return
    import resource

    _be_the_first_to_go()
    os.nice(KINDNESS)
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_CPU, cpu_seconds, cpu_seconds + 1)  # first the signal that tells why
    _lower(resource.RLIMIT_FSIZE, written)
    if sys.platform != "darwin":  # whose own libraries map more than that
        _lower(resource.RLIMIT_AS, memory)
    _give_up_privileges()
    # Not "as many as are open": whoever closes one could then open another.
    _lower(resource.RLIMIT_NOFILE, 0)
    if sys.platform == "linux":
        from .syscalls import keep_only_harmless_calls

        keep_only_harmless_calls()


def _lower(which: int, soft: int, hard: int | None = None) -> None:
    import resource

    highest = resource.getrlimit(which)[1]
    wanted = (soft, soft if hard is None else hard)
    resource.setrlimit(which, wanted if highest == resource.RLIM_INFINITY else _both(wanted, highest))


def _both(limits: tuple[int, int], highest: int) -> tuple[int, int]:
    return min(limits[0], highest), min(limits[1], highest)


def _be_the_first_to_go() -> None:
    """When the machine runs out of memory, a picture goes before the service does."""
    with suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
        file.write("1000")


def _give_up_privileges() -> None:
    """No program gives more rights than there are, and this process ends with its parent."""
    if sys.platform == "linux":
        import signal

        from .syscalls import prctl

        prctl(_NO_NEW_PRIVILEGES, 1)
        prctl(_DEATH_SIGNAL, signal.SIGKILL)
