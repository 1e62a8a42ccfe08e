"""A filter of system calls (seccomp): what a decoder needs, and nothing else. Linux on x86-64; elsewhere none.

Other machines number their calls otherwise; there the limits of `confinement.py` stand alone.
"""

import ctypes
import platform
from typing import Final

# Only on what is open already: reading, writing, memory, time, waiting, leaving.
_ALLOWED: Final = {
    "read": 0, "write": 1, "close": 3, "fstat": 5, "lseek": 8, "mmap": 9, "mprotect": 10, "munmap": 11, "brk": 12,
    "rt_sigaction": 13, "rt_sigprocmask": 14, "rt_sigreturn": 15, "pread64": 17, "pwrite64": 18, "readv": 19,
    "writev": 20, "sched_yield": 24, "mremap": 25, "madvise": 28, "nanosleep": 35, "getpid": 39, "exit": 60,
    "ftruncate": 77, "getrusage": 98, "sysinfo": 99, "sigaltstack": 131, "gettid": 186, "futex": 202,
    "sched_getaffinity": 204, "set_tid_address": 218, "restart_syscall": 219, "clock_gettime": 228,
    "clock_nanosleep": 230, "exit_group": 231, "newfstatat": 262, "set_robust_list": 273, "getrandom": 318, "rseq": 334,
}  # fmt: skip
_MACHINE: Final = 0xC000003E  # AUDIT_ARCH_X86_64
_SET_FILTER, _FILTER_MODE = 22, 2
# The decoder of HEIC works in a thread. `clone3` hides its flags, and whoever hears ENOSYS takes `clone`.
_CLONE, _CLONE3, _THREAD = 56, 435, 0x10000
_LOAD, _IF_EQUAL, _IF_ANY, _RETURN = 0x20, 0x15, 0x45, 0x06
_ALLOW, _NOT_PERMITTED, _NO_SUCH_CALL, _KILL = 0x7FFF0000, 0x00050001, 0x00050026, 0x80000000
_AT_NUMBER, _AT_MACHINE, _AT_FLAGS = 0, 4, 16


class _Step(ctypes.Structure):
    _fields_ = (("code", ctypes.c_uint16), ("yes", ctypes.c_uint8), ("no", ctypes.c_uint8), ("k", ctypes.c_uint32))


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint16), ("steps", ctypes.POINTER(_Step)))


def prctl(option: int, argument: int, more: int = 0) -> bool:
    """Change something of this process. False if the system does not know how."""
    words = [ctypes.c_ulong(word) for word in (argument, more, 0, 0)]
    return bool(ctypes.CDLL(None).prctl(option, *words) == 0)


def keep_only_harmless_calls() -> bool:
    """From here on every other call answers EPERM. False where there is no such filter."""
    if platform.machine() != "x86_64" or ctypes.sizeof(ctypes.c_void_p) != 8:
        return False
    steps = _steps()
    program = _Program(len(steps), (_Step * len(steps))(*steps))
    return prctl(_SET_FILTER, _FILTER_MODE, ctypes.addressof(program))


def _steps() -> list[_Step]:
    """The filter as a program for the kernel: each comparison says how many steps to skip if equal, and if not."""
    numbers = sorted(_ALLOWED.values())
    return [
        _Step(_LOAD, 0, 0, _AT_MACHINE),
        _Step(_IF_EQUAL, 1, 0, _MACHINE),
        _Step(_RETURN, 0, 0, _KILL),
        _Step(_LOAD, 0, 0, _AT_NUMBER),
        _Step(_IF_EQUAL, 0, 1, _CLONE3),
        _Step(_RETURN, 0, 0, _NO_SUCH_CALL),
        _Step(_IF_EQUAL, 0, 4, _CLONE),
        _Step(_LOAD, 0, 0, _AT_FLAGS),
        _Step(_IF_ANY, 0, 1, _THREAD),
        _Step(_RETURN, 0, 0, _ALLOW),
        _Step(_RETURN, 0, 0, _NOT_PERMITTED),
        *(_Step(_IF_EQUAL, len(numbers) - place, 0, number) for place, number in enumerate(numbers)),
        _Step(_RETURN, 0, 0, _NOT_PERMITTED),
        _Step(_RETURN, 0, 0, _ALLOW),
    ]
