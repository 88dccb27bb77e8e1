from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.residency import Footprint, Residency, keep_alive_seconds
from backends.types import LoadedModel

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FAST, CODER, LARGE = Footprint(20, 3600), Footprint(35, 1800), Footprint(45, 900)


def residency(available_gb: float = 100) -> Residency:
    return Residency({"fast": FAST, "coder": CODER, "large": LARGE}, available_gb)


def seen(*names: str, expires_in_s: float = 600) -> dict[str, LoadedModel]:
    return {name: LoadedModel(name, 8192, 0, 0, NOW + timedelta(seconds=expires_in_s)) for name in names}


def saw(residency: Residency, *names: str, expires_in_s: float = 600) -> None:
    residency.saw(seen(*names, expires_in_s=expires_in_s), names, NOW)


@pytest.mark.parametrize(("text", "seconds"), [("-1", math.inf), ("0", 0), ("90s", 90), ("15m", 900), ("2h", 7200)])
def test_keep_alive_in_seconds(text: str, seconds: float) -> None:
    assert keep_alive_seconds(text) == seconds


def test_where_all_fit_nothing_is_pushed_out() -> None:
    models = residency()
    for name in ("fast", "coder", "large"):
        assert not models.victims(name)
        models.begins(name)
    assert models.loaded == {"fast", "coder", "large"}


def test_the_shortest_keep_alive_goes_first_and_idle_ones_before_busy_ones() -> None:
    models = residency(available_gb=70)
    models.begins("coder")
    models.begins("fast")
    assert models.victims("large") == {"coder"}
    assert models.victims("large", busy={"coder"}) == {"fast", "coder"}
    models.begins("large")
    assert models.loaded == {"fast", "large"}


def test_what_was_seen_counts_more_than_the_plan() -> None:
    """With a graphics card, Ollama keeps a second model only where it fits the card, however much RAM there is."""
    models = residency()
    saw(models, "coder")
    saw(models, "large")
    assert models.victims("coder") == {"large"}
    assert not models.victims("fast")
    tight = residency(available_gb=10)
    assert tight.victims("coder", among=frozenset({"fast"})) == {"fast"}
    saw(tight, "fast", "coder")
    assert not tight.victims("coder", among=frozenset({"fast"}))


def test_an_eviction_is_known_from_a_look_between_it_and_the_load() -> None:
    models = residency()
    for names in (("coder",), (), ("large",)):
        saw(models, *names)
    assert models.victims("coder") == {"large"}


def test_a_model_that_went_long_before_another_came_was_not_pushed_out_by_it() -> None:
    models = residency()
    saw(models, "coder")
    saw(models)
    models.saw(seen("large"), ("large",), NOW + timedelta(minutes=1))
    assert not models.victims("coder")


def test_a_look_that_comes_before_the_switch_does_not_undo_it() -> None:
    """A call for the model that is being pushed out was let in beside the one that pushes it out."""
    models = residency(available_gb=50)
    saw(models, "coder")
    models.begins("large")
    saw(models, "coder")
    assert models.loaded == {"large"}
    assert models.victims("coder", busy={"large"}) == {"large"}
    saw(models, "large")
    models.ends("large")
    assert models.loaded == {"large"}


def test_a_load_that_failed_leaves_what_the_next_look_shows() -> None:
    models = residency(available_gb=50)
    saw(models, "coder")
    models.begins("large")
    models.ends("large")
    saw(models, "coder")
    assert models.loaded == {"coder"}


def test_a_victim_that_stays_beside_the_new_one_was_none() -> None:
    models = residency(available_gb=50)
    saw(models, "coder")
    models.begins("large")
    saw(models, "coder", "large")
    assert models.loaded == {"coder", "large"}


def test_a_model_whose_time_was_up_was_pushed_out_by_nobody() -> None:
    models = residency()
    saw(models, "coder", expires_in_s=-1)
    saw(models, "large")
    assert not models.victims("coder")


def test_a_model_that_another_client_loaded_differently_is_there_and_not_ready() -> None:
    models = residency()
    models.saw(seen("fast", "coder"), ("fast",), NOW)
    assert models.loaded == {"fast"}


@given(
    st.dictionaries(st.text("abcdef", min_size=1, max_size=2), st.floats(0, 50), min_size=1, max_size=6),
    st.floats(0, 200),
    st.data(),
)
def test_after_a_load_the_plan_holds_or_the_model_is_alone(
    sizes: dict[str, float], available_gb: float, data: st.DataObject
) -> None:
    models = Residency({name: Footprint(size, len(name)) for name, size in sizes.items()}, available_gb)
    for name in data.draw(st.lists(st.sampled_from(sorted(sizes)), max_size=12)):
        before = models.loaded
        assert models.victims(name) <= before
        models.begins(name)
        assert name in models.loaded
        assert models.loaded == {name} or sum(sizes[each] for each in models.loaded) <= available_gb
