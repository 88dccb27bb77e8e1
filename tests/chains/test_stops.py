from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chains.stops import StopCutter


def cut(text: str, stops: list[str], size: int) -> tuple[str, bool]:
    cutter = StopCutter(stops)
    kept = [cutter.feed(text[start : start + size]) for start in range(0, len(text), size)]
    return "".join(kept) + cutter.finish(), cutter.stopped


@pytest.mark.parametrize("size", [1, 2, 100])
def test_the_text_ends_before_the_first_stop_text(size: int) -> None:
    assert cut("one END two", ["END"], size) == ("one ", True)
    assert cut("one EN two", ["END"], size) == ("one EN two", False)
    assert cut("one EN", ["END"], size) == ("one EN", False)
    assert cut("aab", ["ab"], size) == ("a", True)
    assert cut("abcd", ["abcd", "bc"], size) == ("a", True)
    assert cut("x", [], size) == cut("x", [""], size) == ("x", False)


def test_only_what_may_begin_a_stop_text_is_held() -> None:
    cutter = StopCutter(["\n\nUser:"])
    assert [cutter.feed(piece) for piece in ("one\n", "\nUs", "ually")] == ["one", "", "\n\nUsually"]


SHORT = st.text(alphabet="ab", max_size=30)


@given(SHORT, st.lists(st.text(alphabet="ab", min_size=1, max_size=4), max_size=3), st.integers(1, 5))
def test_any_cutting_gives_the_same(text: str, stops: list[str], size: int) -> None:
    kept, stopped = cut(text, stops, size)
    assert (kept, stopped) == cut(text, stops, max(1, len(text)))
    assert text.startswith(kept)
    assert not any(stop in kept for stop in stops)
    assert stopped == any(stop in text for stop in stops)
