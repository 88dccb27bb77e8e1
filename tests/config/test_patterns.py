from __future__ import annotations

import time
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from config.load import load_settings
from config.patterns import why_hostile
from config.schema import RoutingRule

CATASTROPHIC = [
    r"(a+)+$",
    r"(a|a)*$",
    r"(a|ab|b)*c",
    r"(\w+\s?)*$",
    r"(x+x+)+y",
    r"a*a*a*a*a*b",
    r"(.*)(.*)(.*)x",
    r".*a.*b",
    r"([a-z]+)*1",
    r"^(([a-z])+.)+[A-Z]([a-z])+$",
    r"(a?){30}a{30}",
    r"(foo|f(o|0)o)+z",
    r"^prefix (b|b)*$",
    r"(?:(?:a*)*)x",
]
FINE = [
    r"\bword\b",
    r".*",
    r"\s*x",
    r"a.*b",
    r"\b(update|write)\b.{0,30}\bmemory\b",
    r"(?:\w+\s+){0,2}x",
    r"^\s*(what|which)\b[^\n]{0,160}\?\s*$",
    r"(?:foo,?)+",
    r"(?i:a)|(?P<n>b)(?P=n)|(?(n)c|d)|(?<!x)y(?=z)",
    r"a++b|(?>c+)d",
    "日本|[^\\W\\d]{2,}",
]


@pytest.mark.parametrize("pattern", CATASTROPHIC)
def test_what_some_text_keeps_busy_for_ever_is_refused_in_time(pattern: str) -> None:
    why_hostile.cache_clear()
    begun = time.thread_time()
    with pytest.raises(ValidationError, match="must be quick on any text"):
        RoutingRule(name="x", role="implementation", pattern=pattern)
    assert time.thread_time() - begun < 5


@pytest.mark.parametrize("pattern", FINE)
def test_ordinary_patterns_pass(pattern: str) -> None:
    assert why_hostile(pattern) is None


def test_the_shipped_rules_are_checked_in_no_time() -> None:
    patterns = [rule.pattern for rule in load_settings(environment={}).models.routing.rules]
    why_hostile.cache_clear()
    begun = time.thread_time()
    assert [why_hostile(pattern) for pattern in patterns] == [None] * len(patterns)
    assert time.thread_time() - begun < 3


@settings(max_examples=40)
@given(st.lists(st.sampled_from(["a", ".", "[ab]", "(a|b)", r"\w", "*", "+", "?", "{2,9}", "|", "(", ")", "^", "$"])))
def test_checking_ends_whatever_the_pattern(pieces: list[str]) -> None:
    begun = time.thread_time()
    with suppress(ValidationError):
        RoutingRule(name="x", role="implementation", pattern="".join(pieces) or "x")
    assert time.thread_time() - begun < 10
