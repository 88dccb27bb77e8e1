"""How the C library's allocator treats the service's threads."""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress

M_ARENA_MAX = -8  # of glibc's malloc.h


def share_one_arena() -> None:
    """Have all threads allocate from one arena; to be called before they are started. For glibc, else nothing.

    It gives threads arenas of their own, each of which keeps what was freed in it. Where one request's work is done now
    in this thread and now in that one, the process grows by what lies there unused: by a tenth in some hours. Python's
    threads, which take turns, gain nothing from it.
    """
    if sys.platform == "linux":
        with suppress(AttributeError):  # musl's has no such setting, and no arenas
            ctypes.CDLL(None).mallopt(M_ARENA_MAX, 1)
