"""Take from the current process what reading a file does not need: memory without end, time, the network, programs.

What cannot be taken away on a system is left: each layer is one of several, none of them the only one.
"""

import ctypes
import platform
import resource
import sys
from pathlib import Path
from typing import Final

_NO_NEW_PRIVILEGES: Final = 38
_SET_SECCOMP: Final = 22
_FILTER: Final = 2
_NOT_PERMITTED: Final = 0x0005_0001  # SECCOMP_RET_ERRNO with EPERM
_ALLOW: Final = 0x7FFF_0000
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_NUMBER, _ARCHITECTURE = 0, 4
_FOREIGN_NUMBERS: Final = 0x4000_0000  # x86-64's second table of calls (x32) starts here
# Per architecture: its audit number; those of socket and connect; of execve, execveat, ptrace, io_uring_setup.
_CALLS: Final = {
    "x86_64": (0xC000_003E, (41, 42), (59, 322, 101, 425)),
    "aarch64": (0xC000_00B7, (198, 203), (221, 281, 117, 425)),
}


class _Instruction(ctypes.Structure):
    _fields_ = (("code", ctypes.c_ushort), ("jt", ctypes.c_ubyte), ("jf", ctypes.c_ubyte), ("k", ctypes.c_uint))


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.POINTER(_Instruction)))


def confine(*, more_memory: int, file_size: int, cpu_seconds: int | None = None, network: bool = False) -> None:
    """Limit this process for good.

    Args:
        more_memory: bytes of address space beyond what it has now (Linux only: elsewhere that is not told).
        file_size: bytes of the largest file that it may write.
        cpu_seconds: from its start; None where somebody else watches over its time.
        network: whether it may open connections, as to a database that is elsewhere.
    """
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, file_size)
    if cpu_seconds is not None:
        _limit(resource.RLIMIT_CPU, cpu_seconds)
    if sys.platform.startswith("linux"):
        _limit(resource.RLIMIT_AS, _address_space() + more_memory)
        _forbid_calls(network=network)


def _limit(kind: int, value: int) -> None:
    _, hard = resource.getrlimit(kind)
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (value, value))


def _address_space() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def _forbid_calls(*, network: bool) -> None:
    """No sockets, no other programs: those system calls fail with EPERM (a seccomp filter, see seccomp(2))."""
    known = _CALLS.get(platform.machine())
    if known is None:
        return
    architecture, sockets, programs = known
    instructions = _filter(architecture, programs if network else sockets + programs)
    program = _Program(len(instructions), (_Instruction * len(instructions))(*instructions))
    prctl = ctypes.CDLL(None).prctl
    prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    prctl(_SET_SECCOMP, _FILTER, ctypes.byref(program), 0, 0)


def _filter(architecture: int, forbidden: tuple[int, ...]) -> list[_Instruction]:
    """Jumps count the instructions that are skipped; the last one refuses."""
    count = len(forbidden)
    jumps = [_Instruction(_EQUAL, count - place, 0, number) for place, number in enumerate(forbidden)]
    return [
        _Instruction(_LOAD, 0, 0, _ARCHITECTURE),
        _Instruction(_EQUAL, 0, count + 3, architecture),
        _Instruction(_LOAD, 0, 0, _NUMBER),
        _Instruction(_AT_LEAST, count + 1, 0, _FOREIGN_NUMBERS),
        *jumps,
        _Instruction(_RETURN, 0, 0, _ALLOW),
        _Instruction(_RETURN, 0, 0, _NOT_PERMITTED),
    ]
