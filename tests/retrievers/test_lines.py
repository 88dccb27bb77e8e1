"""Passages fall into small groups of lines that lose nothing."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrievers.chunking import estimate_tokens
from retrievers.lines import GAP, GROUP_TOKENS, LONG_LINE_TOKENS, excerpt, group_texts, line_groups
from retrievers.types import Passage


def passage(text: str, heading: str = "") -> Passage:
    return Passage(text, "memory-bank/progress.md", heading, 1, text.count("\n") + 1, datetime.now(UTC))


def test_each_group_stands_under_the_last_heading() -> None:
    text = "\n".join(f"- point number {number} of the list that goes on" for number in range(20))
    groups = group_texts(passage(text, "Progress > Known issues"))
    assert len(groups) > 3
    assert all(group.startswith("Known issues\n") for group in groups)


def test_a_heading_begins_a_group_and_is_not_left_alone() -> None:
    text = "- the last point of what went before\n\n## Known issues\n\n- gauges drift\n## Next\n- mend them\n"
    assert [group.text for group in line_groups(passage(text, "Progress"))] == [
        "- the last point of what went before",
        "## Known issues\n- gauges drift",
        "## Next\n- mend them",
    ]


def test_lines_are_embedded_below_the_heading_and_the_item_they_stand_under() -> None:
    nested = [f"   - reason number {number} for which it was taken, told in a few words more" for number in range(4)]
    more = "2. **No cloud**: too dear, and the harbour's line is down for hours whenever the wind blows hard"
    text = "\n".join(["## Decisions", "1. **One gauge after the other**:", *nested, more])
    first, *others, last = group_texts(passage(text, "Active context"))
    assert first.startswith("Active context\n## Decisions\n1. **One gauge after the other**:\n   - reason")
    assert others
    assert all(other.startswith("Decisions\n1. **One gauge after the other**:\n   - reason") for other in others)
    assert last == f"Decisions\n{more}"


def test_a_long_paragraph_is_taken_by_sentences() -> None:
    text = " ".join(
        f"Sentence {number} says that the importer reads the gauges of station {number}." for number in range(8)
    )
    groups = line_groups(passage(text))
    assert len(groups) > 2
    assert all(group.text.endswith(".") for group in groups)


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=2_000))
def test_nothing_but_blanks_is_lost(text: str) -> None:
    assert "".join("".join(group.text for group in line_groups(passage(text))).split()) == "".join(text.split())


@given(st.lists(st.text(alphabet="abc d", min_size=1, max_size=60), max_size=40))
def test_a_group_of_several_lines_is_small(lines: list[str]) -> None:
    for group in line_groups(passage("\n".join(lines))):
        if "\n" in group.text:
            assert sum(estimate_tokens(line) for line in group.text.split("\n")) <= GROUP_TOKENS


def test_an_excerpt_says_where_something_is_left_out_and_which_lines_it_spans() -> None:
    lines = [
        f"- point number {number} of a list whose points are all long enough to stand alone, or nearly so"
        for number in range(9)
    ]
    whole = passage("\n".join(lines), "Progress")
    groups = line_groups(whole)
    assert len(groups) > 4
    part = excerpt(whole, groups, {0, 1, 3})
    assert part.text == f"{groups[0].text}\n{groups[1].text}\n{GAP}\n{groups[3].text}\n"
    assert (part.start_line, part.end_line) == (1, groups[3].last_line)
    assert excerpt(whole, groups, range(len(groups))) == whole


@given(st.lists(st.text(alphabet="abc d.", min_size=1, max_size=400), min_size=1, max_size=20), st.data())
def test_an_excerpt_holds_its_lines_word_for_word(lines: list[str], data: st.DataObject) -> None:
    whole = passage("\n".join(lines))
    groups = line_groups(whole)
    if not groups:
        return
    wanted = data.draw(st.sets(st.sampled_from(range(len(groups))), min_size=1))
    part = excerpt(whole, groups, wanted)
    assert whole.start_line <= part.start_line <= part.end_line <= whole.end_line
    for number in wanted:
        for line in groups[number].text.split("\n"):
            assert line in part.text


def test_a_long_line_without_sentences_is_cut_between_words() -> None:
    words = [f"word{number}" for number in range(150)]
    groups = line_groups(passage(" ".join(words)))
    assert len(groups) > 3
    assert " ".join(group.text for group in groups).split() == words


@pytest.mark.parametrize("line", ["設定" * 300, "x" * 1_200, "a" + " " * 5_000 + "b" * 500])
def test_a_long_line_without_spaces_is_cut_between_characters(line: str) -> None:
    groups = line_groups(passage(line))
    assert len(groups) > 3
    assert "".join("".join(group.text for group in groups).split()) == "".join(line.split())


@given(st.text(alphabet=st.sampled_from("ab設🙂 .\n"), max_size=1_500))
def test_no_group_is_large(text: str) -> None:
    assert all(estimate_tokens(group.text) <= LONG_LINE_TOKENS for group in line_groups(passage(text)))
