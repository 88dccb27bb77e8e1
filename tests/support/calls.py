"""Counts calls of Python functions by their qualified names, which are the same however busy the machine is.

with counted_calls() as calls:
    await answer()
assert calls["SqliteStore.batch"] == 4
"""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


@contextmanager
def counted_calls() -> Iterator[Counter[str]]:
    """The calls of this thread and of those that it starts meanwhile; a coroutine's counts at each of its steps."""
    names: list[str] = []  # appending is atomic, adding to a counter is not
    calls: Counter[str] = Counter()

    def note(frame: FrameType, event: str, _: Any) -> None:
        if event == "call":
            names.append(frame.f_code.co_qualname)

    before = sys.getprofile()
    threading.setprofile(note)
    sys.setprofile(note)
    try:
        yield calls
    finally:
        sys.setprofile(before)
        threading.setprofile(before)
        calls.update(names)
