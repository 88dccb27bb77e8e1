from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage

from chains.conversation import FINGERPRINT_CHARS, fingerprints
from tests.chains.chain_support import IMAGE


def call(args: dict[str, Any], name: str = "f", id_: str = "1") -> AIMessage:
    return AIMessage("", tool_calls=[{"id": id_, "name": name, "args": args}])


texts = st.text(max_size=10)
messages = st.lists(
    st.one_of(
        texts.map(HumanMessage),
        texts.map(SystemMessage),
        texts.map(AIMessage),
        st.builds(lambda text, id_: ToolMessage(text, tool_call_id=id_), texts, texts),
        st.builds(lambda text, name: call({"x": text}, name), texts, texts),
    ),
    max_size=8,
)


@given(messages, messages)
def test_a_chain_is_a_prefix_of_what_grows_from_it(first: list[BaseMessage], more: list[BaseMessage]) -> None:
    chain = fingerprints([*first, *more])
    assert chain[: len(first)] == fingerprints(first)
    assert len(set(chain)) == len(chain) == len(first) + len(more)
    assert all(len(each) == FINGERPRINT_CHARS and int(each, 16) >= 0 for each in chain)


@given(messages, messages)
def test_equal_chains_mean_equal_conversations(one: list[BaseMessage], other: list[BaseMessage]) -> None:
    same = [(type(message), message.content) for message in one] == [(type(each), each.content) for each in other]
    if fingerprints(one)[-1:] == fingerprints(other)[-1:]:
        assert same


@given(messages, st.integers(0, 7))
def test_a_changed_message_changes_all_that_follows(conversation: list[BaseMessage], place: int) -> None:
    if place >= len(conversation):
        return
    changed: list[BaseMessage] = [*conversation]
    changed[place] = HumanMessage("something else entirely")
    old, new = fingerprints(conversation), fingerprints(changed)
    assert old[:place] == new[:place]
    assert not set(old[place:]) & set(new[place:])


def test_every_part_of_a_message_counts() -> None:
    variants: list[BaseMessage] = [
        HumanMessage("a"),
        SystemMessage("a"),
        AIMessage("a"),
        HumanMessage(["a", IMAGE]),
        HumanMessage(["a", {"type": "image_url", "image_url": {"url": "data:image/png;base64,BBBB"}}]),
        ToolMessage("a", tool_call_id="1"),
        ToolMessage("a", tool_call_id="2"),
        call({"x": 1}),
        call({"x": "1"}),
        call({"x": 1}, name="g"),
        call({"x": 1}, id_="2"),
    ]
    assert len({fingerprints([each])[0] for each in variants}) == len(variants)


def test_two_messages_are_not_one() -> None:
    assert fingerprints([HumanMessage("a"), HumanMessage("b")])[-1] != fingerprints([HumanMessage("ab")])[-1]


def test_equal_first_messages_share_only_their_prefix() -> None:
    first, second = ([HumanMessage("hi"), AIMessage(text)] for text in ("a", "b"))
    assert fingerprints(first)[0] == fingerprints(second)[0]
    assert fingerprints(first)[1] != fingerprints(second)[1]


def test_fingerprints_do_not_change_between_versions() -> None:
    """They are keys on disk."""
    assert fingerprints([SystemMessage("s"), HumanMessage("hello")]) == [
        "cd21ac2be9c21d9a654ec94e25266511",
        "b473f5ba434d7bc919fc2f2f2dfc6f97",
    ]


def test_large_numbers_and_half_surrogates_have_fingerprints() -> None:
    assert len({fingerprints([call({"n": value})])[0] for value in (10**30, 10**31, "\ud800", "\udfff")}) == 4


def test_the_same_words_in_another_place_are_another_conversation() -> None:
    """The memory block of one project stood in the prompt of another's conversation."""
    words = [HumanMessage("where did we leave off?")]
    assert fingerprints(words, place="/a") != fingerprints(words, place="/b")
    assert fingerprints(words, place="/a") == fingerprints(words, place="/a")
