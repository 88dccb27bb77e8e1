"""Where a prompt leaves the one before: found for any two histories, with whose doing it was."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chains.prefix import TOOLS, PrefixLeft, PromptTrace

TOOLS_PIECE = ("aaaaaaaa", 50)
digests = st.integers(0, 2**32 - 1).map(lambda number: f"{number:08x}" + "0" * 24)
pieces = st.lists(st.tuples(digests, st.integers(1, 500)), min_size=1, max_size=8)


def trace(*messages: tuple[str, int], blocks: dict[int, tuple[str, int]] | None = None) -> PromptTrace:
    return PromptTrace.of(TOOLS_PIECE, messages, blocks or {})


ONE, TWO, THREE = ("11111111", 10), ("22222222", 20), ("33333333", 30)


def test_a_prompt_that_goes_on_leaves_nothing() -> None:
    assert trace(ONE, TWO, THREE).left(trace(ONE, TWO)) is None
    assert trace(ONE).left(trace(ONE, TWO)) is None


def test_what_the_client_changed_is_the_clients_doing() -> None:
    assert trace(ONE, THREE, TWO).left(trace(ONE, TWO)) == PrefixLeft(1, 60, "client")
    other_tools = PromptTrace.of(("bbbbbbbb", 9), [ONE], {})
    assert other_tools.left(trace(ONE)) == PrefixLeft(TOOLS, 0, "client")


def test_another_block_beside_the_same_words_is_ours() -> None:
    block = {1: ("cccccccc", 100)}
    assert trace(ONE, TWO, THREE).left(trace(ONE, TWO, blocks=block)) == PrefixLeft(1, 60, "ours")
    assert trace(ONE, THREE, blocks=block).left(trace(ONE, TWO)) == PrefixLeft(1, 60, "client")


def test_blocks_count_among_the_tokens_before() -> None:
    block = {0: ("cccccccc", 100)}
    assert trace(ONE, THREE, blocks=block).left(trace(ONE, TWO, blocks=block)) == PrefixLeft(1, 160, "client")
    assert trace(ONE, TWO, blocks=block).tokens == 50 + 10 + 100 + 20


@given(pieces, pieces)
def test_no_message_before_the_one_that_is_told_differs(
    first: list[tuple[str, int]], second: list[tuple[str, int]]
) -> None:
    before, now = trace(*first), trace(*second)
    left = now.left(before)
    if left is None:
        shorter = min(len(first), len(second))
        assert [each[0][:8] for each in first[:shorter]] == [each[0][:8] for each in second[:shorter]]
        return
    assert first[left.message][0] != second[left.message][0]
    assert [each[0] for each in first[: left.message]] == [each[0] for each in second[: left.message]]
    assert left.tokens == 50 + sum(tokens for _, tokens in second[: left.message])


@given(pieces)
def test_a_record_holds_all_of_it(messages: list[tuple[str, int]]) -> None:
    made = trace(*messages, blocks={0: messages[0]})
    assert PromptTrace.from_record(made.as_record()) == made
    assert PromptTrace.from_record("nonsense") is None
    assert PromptTrace.from_record([[1]]) is None
