"""Finds regular expressions that some text would keep busy for ever: by their shape, then by trying hostile texts."""

from __future__ import annotations

import re
import re._parser as sre  # type: ignore[import-not-found]  # typeshed does not know the parser
import time
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

# Four times as many characters are searched in a request: what squares the time passes, what cubes it does not.
PROBED_CHARS = 1000
MOST_SEARCH_S = 0.04
MOST_PROBES = 40
FEW_TIMES = 8  # a repetition bounded by this does not make one within it explode
ONE_BY_ONE = 30
GROWTH = 1.3
NO_MATCH = "\x00"
PLAIN_PUMPS = ("a", " ", "a ", "0", "\n", "-", "a.")

_REPEATS = {sre.MAX_REPEAT, sre.MIN_REPEAT}
_MEMBERS = "a0 _-.,:;/\n!\"'()@#<>=Aé"


@lru_cache(maxsize=1024)
def why_hostile(pattern: str) -> str | None:
    """One sentence on what makes a pattern too slow, None for a good one. Bounded, whatever the pattern."""
    tree = sre.parse(pattern, re.IGNORECASE)
    if _nests(tree, within=False):
        return "it repeats a repetition, as (a+)+ does, or what may be empty; repeat plain characters only"
    compiled = re.compile(pattern, re.IGNORECASE)
    for before, pump in _probes(tree):
        if (chars := _too_slow_at(compiled, before, pump)) is not None:
            return f"{chars} characters kept it busy for more than {MOST_SEARCH_S * 1000:.0f} ms; bound its repetitions"
    return None


def _nests(tree: Any, *, within: bool) -> bool:
    """Whether a variable repetition, or what may be empty, stands within one that may run on."""
    for operator, argument in tree:
        if operator in _REPEATS:
            least, most, body = argument
            varies = least != most and most > 1
            may_be_empty = most > FEW_TIMES and body.getwidth()[0] == 0
            if (within and varies) or may_be_empty or _nests(body, within=within or most > FEW_TIMES):
                return True
        elif any(_nests(part, within=within) for part in _parts(operator, argument)):
            return True
    return False


def _parts(operator: Any, argument: Any) -> list[Any]:
    """The sub-patterns of one operator of the parsed tree, repetitions left aside."""
    if operator in {sre.SUBPATTERN, sre.ASSERT, sre.ASSERT_NOT}:
        return [argument[-1]]
    if operator is sre.BRANCH:
        return list(argument[1])
    if operator is sre.GROUPREF_EXISTS:
        return [part for part in argument[1:] if part is not None]
    if operator is sre.ATOMIC_GROUP:
        return [argument]
    return [argument[2]] if operator is sre.POSSESSIVE_REPEAT else []


def _probes(tree: Any) -> Iterator[tuple[str, str]]:
    """What comes first and what is then repeated: for each repetition of the pattern, and some plain texts."""
    seen = dict.fromkeys([*_pumps(tree, ""), *(("", pump) for pump in PLAIN_PUMPS)])
    return iter(list(seen)[:MOST_PROBES])


def _pumps(tree: Any, before: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for operator, argument in tree:
        if operator in _REPEATS or operator is sre.POSSESSIVE_REPEAT:
            body = argument[2]
            found += [(before, each) for each in _samples(body) if each]
            found += _pumps(body, before)
        else:
            for part in _parts(operator, argument):
                found += _pumps(part, before)
        before += _sample_of(operator, argument)
    return found


def _samples(tree: Any) -> list[str]:
    """A text the sub-pattern matches, and one for each branch where it is a choice."""
    whole = _sample(tree)
    for operator, argument in tree:
        for part in _parts(operator, argument) if operator is not sre.BRANCH else ():
            return [whole, *_samples(part)]
        if operator is sre.BRANCH:
            return [whole, *(_sample(part) for part in argument[1][:4])]
    return [whole]


def _sample(tree: Any) -> str:
    return "".join(_sample_of(operator, argument) for operator, argument in tree)


def _sample_of(operator: Any, argument: Any) -> str:
    """Some text that one operator matches, "" where it takes none."""
    sample = ""
    if operator is sre.LITERAL:
        sample = chr(int(argument))
    elif operator in {sre.ANY, sre.NOT_LITERAL}:
        sample = "a" if argument != ord("a") else "b"
    elif operator is sre.IN:
        sample = _member(argument)
    elif operator in _REPEATS or operator is sre.POSSESSIVE_REPEAT:
        sample = _sample(argument[2]) * min(max(int(argument[0]), 1), 50)
    elif operator not in {sre.ASSERT, sre.ASSERT_NOT} and (parts := _parts(operator, argument)):
        sample = _sample(parts[0])
    return sample


def _member(members: Any) -> str:
    for operator, argument in members:
        if operator is sre.LITERAL:
            return chr(int(argument))
        if operator is sre.RANGE:
            return chr(int(argument[0]))
    fitting = re.compile("".join(_CLASSES.get(argument, "") for _, argument in members if argument in _CLASSES) or "a")
    return next((char for char in _MEMBERS if fitting.match(char)), "a")


_CLASSES = {
    sre.CATEGORY_DIGIT: r"\d",
    sre.CATEGORY_NOT_DIGIT: r"\D",
    sre.CATEGORY_SPACE: r"\s",
    sre.CATEGORY_NOT_SPACE: r"\S",
    sre.CATEGORY_WORD: r"\w",
    sre.CATEGORY_NOT_WORD: r"\W",
}


def _too_slow_at(compiled: re.Pattern[str], before: str, pump: str) -> int | None:
    """At how many characters a search takes too long; in steps so small that none takes much longer than allowed."""
    for text in _growing(before, pump):
        if _seconds(compiled, text) > MOST_SEARCH_S and _seconds(compiled, text) > MOST_SEARCH_S:
            return len(text)
    return None


def _growing(before: str, pump: str) -> Iterator[str]:
    for chars in range(1, min(len(before), PROBED_CHARS)):
        yield before[:chars] + NO_MATCH
    times = 1
    while len(before) + len(pump) * times <= PROBED_CHARS:
        yield before + pump * times + NO_MATCH
        times = times + 1 if times < ONE_BY_ONE else int(times * GROWTH)


def _seconds(compiled: re.Pattern[str], text: str) -> float:
    begun = time.thread_time()
    compiled.search(text)
    return time.thread_time() - begun
