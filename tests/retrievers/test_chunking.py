from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrievers.chunking import Chunk, chunk_markdown, estimate_tokens
from tests.retrievers.memory_support import words

LINES = st.sampled_from(
    [
        "# A",
        "## B",
        "### C",
        "Setext",
        "====",
        "```",
        "```python",
        "~~~",
        "````markdown",
        "",
        "text",
        "| a | b |",
    ]
) | st.text(max_size=60)
TEXTS = st.lists(LINES, max_size=60).map("\n".join) | st.text(max_size=3_000)


def headings(text: str, *, max_tokens: int = 300) -> list[str]:
    return [chunk.heading for chunk in chunk_markdown(text, min_tokens=1, max_tokens=max_tokens)]


@given(TEXTS, st.integers(1, 40), st.integers(0, 80))
def test_chunks_joined_are_the_text_and_know_their_lines(text: str, min_tokens: int, more: int) -> None:
    chunks = chunk_markdown(text, min_tokens=min_tokens, max_tokens=min_tokens + more)
    assert "".join(chunk.text for chunk in chunks) == text
    lines = text.split("\n")
    last = 0
    for chunk in chunks:
        assert chunk.text
        assert last <= chunk.start_line <= chunk.end_line <= len(lines)
        assert chunk.text in "\n".join(lines[chunk.start_line - 1 : chunk.end_line]) + "\n"
        last = chunk.end_line


@given(TEXTS, st.integers(1, 100))
def test_chunks_of_several_lines_stay_below_the_maximum(text: str, max_tokens: int) -> None:
    for chunk in chunk_markdown(text, min_tokens=max_tokens // 2, max_tokens=max_tokens):
        assert chunk.start_line == chunk.end_line or estimate_tokens(chunk.text) <= max_tokens


@given(st.text(min_size=500, max_size=4_000).map(lambda text: text.replace("\n", " ")))
def test_a_line_longer_than_a_chunk_is_cut(text: str) -> None:
    chunks = chunk_markdown(text, min_tokens=20, max_tokens=40)
    assert "".join(chunk.text for chunk in chunks) == text
    assert all(len(chunk.text) <= len(text) / 2 for chunk in chunks)
    assert {(chunk.start_line, chunk.end_line) for chunk in chunks} == {(1, 1)}


def test_a_wrapped_list_item_stays_in_one_chunk() -> None:
    items = [
        f"- **Item {number}:** the importer asks gauge number {number} for what it measured\n"
        f"  since {number} o'clock, and goes on with the next one when it gets no answer\n"
        for number in range(30)
    ]
    chunks = chunk_markdown("# Importer\n" + "".join(items))
    assert len(chunks) > 3
    assert all(chunk.text.startswith("- **Item") for chunk in chunks[1:])


def test_an_empty_text_has_no_chunks() -> None:
    assert chunk_markdown("") == []


def test_breadcrumbs_follow_the_levels() -> None:
    text = f"intro\n# A\n{words(30)}## B\n{words(30)}#### C ##\n{words(30)}## D\n{words(30)}# E\n{words(30)}"
    assert headings(text) == ["", "A", "A > B", "A > B > C", "A > D", "E"]


def test_headings_in_fences_are_none() -> None:
    text = "# A\nbody\n```bash\n# comment\n## other comment\n```\n~~~\n# no\n```\n# no\n~~~\n# B\nbody\n"
    assert headings(text) == ["A", "B"]


def test_a_markdown_example_stays_whole() -> None:
    assert headings("# A\n```markdown\nx\n\n## Template\n\ny\n```\n# B\nbody\n") == ["A", "B"]


def test_an_unclosed_fence_does_not_swallow_later_headings() -> None:
    assert headings("# A\n```python\ncode\n\n## B\nbody\n") == ["A", "A > B"]
    # Closed only by the fence of a later section, with and without a name.
    assert headings("# A\n```\ncode\n\n## B\nbody\n```\nmore\n```\n\n## C\nbody\n") == ["A", "A > B", "A > C"]
    assert headings("# A\n```sh\nx\n# B\n```sh\ny\n```\n# C\nbody\n") == ["A", "B", "C"]


@pytest.mark.timeout(30)
def test_many_markdown_fences_that_nobody_closed_take_no_longer_than_others() -> None:
    """Each used to be searched to the end of the file for its closing mark."""
    assert chunk_markdown("```md\n" * 60_000)
    assert headings("~~~md\n# A\nbody\n```md\n# B\nbody\n```\n# C\nbody\n") == ["", "A", "C"]


@pytest.mark.parametrize("begin", ["# a", "``` a"])
def test_many_blanks_within_a_line_take_no_longer_than_other_characters(begin: str) -> None:
    """A heading with 20,000 blanks in it kept its bank from opening for five seconds, and ten times as many for
    minutes.
    """
    text = f"{begin}{' ' * 400_000}b\n# Later\n"
    assert headings(text)[-1].endswith("Later")


@pytest.mark.parametrize(
    ("line", "title"),
    [("# A ##", "A"), ("# A # #", "A #"), ("# A#", "A#"), ("#\tA \t##\t ", "A"), ("# # A", "# A"), ("# ##", "")],
)
def test_marks_that_close_a_heading_are_none_of_it(line: str, title: str) -> None:
    assert headings(line) == [title]


def test_small_siblings_are_merged_under_their_parent() -> None:
    text = "# Progress\n## Done\n- importer\n## Todo\n- exporter\n## Known issues\n- slow\n"
    assert chunk_markdown(text) == [Chunk(text, "Progress", 1, 7)]


def test_long_sections_are_split_at_blank_lines() -> None:
    paragraphs = [words(40, word) for word in ("ebb", "flow", "neap", "spring", "surge", "swell")]
    chunks = chunk_markdown("# A\n" + "\n".join(paragraphs))
    assert len(chunks) > 1
    assert {chunk.heading for chunk in chunks} == {"A"}
    assert all(chunk.text.endswith("\n\n") for chunk in chunks[:-1])
    assert all(100 <= estimate_tokens(chunk.text) <= 300 for chunk in chunks)
