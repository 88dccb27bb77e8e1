from __future__ import annotations

import pytest

from chains.rules import MAX_MATCHED_CHARS, wish_by_rules
from config.load import load_settings
from config.schema import Mode, Role, RoutingRule


def rule(name: str, role: Role, pattern: str, priority: int = 50, modes: tuple[Mode, ...] = ()) -> RoutingRule:
    return RoutingRule(name=name, role=role, pattern=pattern, priority=priority, modes=modes)


def found(text: str, *rules: RoutingRule, mode: Mode = "none") -> str | None:
    wish = wish_by_rules(rules, text, mode)
    return wish.reason if wish else None


def test_the_highest_priority_decides_then_the_first_in_the_file() -> None:
    rules = (
        rule("low", "implementation", "x", 10),
        rule("first", "memory_fast", "x", 60),
        rule("second", "memory_analysis", "x", 60),
    )
    assert found("x", *rules) == "rule 'first' matched"


def test_modes_limit_a_rule() -> None:
    planning = rule("planning", "memory_analysis", ".", 90, ("plan",))
    assert found("x", planning, mode="plan") == "rule 'planning' matched"
    for mode in ("act", "yolo", "none"):
        assert found("x", planning, mode=mode) is None


def test_rules_look_at_the_first_words_only() -> None:
    late = rule("late", "memory_fast", "needle")
    assert found("a" * (MAX_MATCHED_CHARS - 6) + "NEEDLE", late) is not None
    assert found("a" * (MAX_MATCHED_CHARS - 5) + "needle", late) is None


def test_a_reason_quotes_none_of_the_persons_words() -> None:
    """It is in every log line and in the session's record."""
    wish = wish_by_rules([rule("all", "memory_fast", ".*")], "my password is tide", "none")
    assert wish is not None
    assert "tide" not in repr(wish)


SHIPPED: list[tuple[str, Role | None]] = [
    ("update memory bank", "memory_analysis"),
    ("UMB", "memory_analysis"),
    ("Please initialise the memory bank for this repository", "memory_analysis"),
    ("write today's decisions into the memory-bank", "memory_analysis"),
    ("Refresh memory_bank/activeContext.md", "memory_analysis"),
    ("don't update the memory bank, just fix the typo", None),
    ("do not update the memory bank yet", None),
    ("create a script that lints a memory bank", None),
    ("read memory bank and say what the project is", "memory_fast"),
    ("Follow your custom instructions", "memory_fast"),
    ("Follow your custom instructions.", "memory_fast"),
    ("Check the memory bank: which database did we choose?", "memory_fast"),
    ("read the memory bank, then fix the bug", None),
    ("here is the traceback:\nTraceback (most recent call last):\n  File x.py, line 3", "implementation"),
    ("TypeError: x is undefined\n    at run (src/app.js:12:5)", "implementation"),
    ("meet me at noon (12:30)", None),
    ("where are we?", None),
    ("Fix the login bug", None),
    ("make a plan", None),
    ("umbrella", None),
    ("", None),
]


@pytest.mark.parametrize(("text", "role"), SHIPPED)
def test_the_shipped_rules_say_only_what_is_beyond_doubt(text: str, role: Role | None) -> None:
    wish = wish_by_rules(load_settings(environment={}).models.routing.rules, text, "none")
    assert (wish.role if wish else None) == role
