"""The rules of `models.yaml`: regular expressions over the person's words, by priority, compiled once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from chains.decision import Wish
from config.schema import Mode, RoutingRule

MAX_MATCHED_CHARS = 4000


def wish_by_rules(rules: Sequence[RoutingRule], person_text: str, mode: Mode) -> Wish | None:
    """The first rule that matches the person's words (their first 4,000 characters); None where none does.

    The reason is logged and kept, so it does not quote them.
    """
    text = person_text[:MAX_MATCHED_CHARS]
    for rule in _by_priority(tuple(rules)):
        if rule.modes and mode not in rule.modes:
            continue
        if _compiled(rule.pattern).search(text):
            return Wish(rule.role, f"rule '{rule.name}' matched", "rules", evidence=(f"rule {rule.name}",))
    return None


@lru_cache(maxsize=64)
def _by_priority(rules: tuple[RoutingRule, ...]) -> tuple[RoutingRule, ...]:
    return tuple(sorted(rules, key=lambda rule: -rule.priority))


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)
