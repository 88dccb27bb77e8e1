"""Whether what nobody needs any more goes at once, or stays until a collection of garbage."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def nothing_collected() -> Iterator[None]:
    """Within, only what nothing refers to goes; before, all garbage does."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def alive(kind: type) -> int:
    """How many objects of a class there are, garbage among them."""
    # Not `isinstance`, which asks a weak proxy for its class, and a dead one fails.
    return sum(issubclass(type(each), kind) for each in gc.get_objects())
