"""Every conversation keeps its own memory, byte for byte: twins, edits, cut histories, retries, restarts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from langgraph.store.base import BaseStore
from langgraph.store.memory import InMemoryStore

from chains.compose import memory_block
from chains.conversation import digest_of
from chains.events import Routed
from chains.prefix import PrefixLeft
from chains.turn import Turn
from config.errors import UpstreamBroken
from config.schema import ROLES
from graphs.sessions import Sessions
from tests.chains.chain_support import DONE, ChunkModel, chunk, model
from tests.graphs.graph_support import WORKSPACE, FakeMemory, FakeModels, card, deps, events_of, passage, run, says
from tests.graphs.session_support import opened

_ids = count(1)


@dataclass
class Client:
    """A client that appends what the model says, and remembers what the model was sent."""

    store: BaseStore
    messages: list[BaseMessage] = field(default_factory=lambda: [SystemMessage("s")])
    sent: list[str] = field(default_factory=list)
    session: str | None = None
    workspace: Path = WORKSPACE

    async def ask(self, words: str, *, bank: str, answer: str) -> None:
        self.messages.append(HumanMessage(words))
        await self.send(bank, says(answer))

    async def ask_for_a_tool(self, words: str, *, bank: str) -> None:
        """A question whose answer is a tool call; its id is the router's own."""
        self.messages.append(HumanMessage(words))
        speaks = model(chunk(tool_calls=[{"id": None, "name": "f", "args": {}}]), chunk(told=DONE))
        await self.send(bank, speaks, tools=({"type": "function", "function": {"name": "f"}},))

    async def tell_result(self, result: str, *, bank: str, answer: str) -> None:
        answered = self.messages[-1]
        assert isinstance(answered, AIMessage)
        self.messages.append(ToolMessage(result, tool_call_id=str(answered.tool_calls[0]["id"])))
        await self.send(bank, says(answer))

    async def send(self, bank: str, speaks: ChunkModel, *, tools: tuple[dict[str, Any], ...] = ()) -> None:
        models = FakeModels(speaks, {role: card(role, window=100_000) for role in ROLES})
        memory = FakeMemory((passage(f"The bank says {bank} and {bank} again."),))
        context = deps(models, memory, self.store, new_id=lambda: f"id_{next(_ids)}")
        made = replace(Turn.of_messages(self.messages, workspace=self.workspace), session=self.session, tools=tools)
        state = await run(made, context)
        self.sent = [str(message.text) for message in speaks.asked[-1]]
        answer = state["answer"]
        self.messages.append(AIMessage(answer.content, tool_calls=answer.tool_calls))


def block_of(bank: str) -> str:
    return memory_block((passage(f"The bank says {bank} and {bank} again."),))


async def test_twins_keep_their_own_blocks_after_the_bank_changed(tmp_path: Path) -> None:
    """The second conversation's block replaced the first one's, whose model then read its prompt again."""
    async with opened(tmp_path / "s.sqlite") as store:
        first, second = Client(store), Client(store)
        await first.ask("where are we?", bank="one", answer="At one.")
        await second.ask("where are we?", bank="two", answer="At two.")
    async with opened(tmp_path / "s.sqlite") as store:
        first.store = second.store = store
        for client, bank in ((first, "one"), (second, "two")):
            before = client.sent
            await client.ask("and now?", bank="three", answer="x")
            assert client.sent[: len(before)] == before
            assert client.sent[1] == f"where are we?\n\n{block_of(bank)}"
            assert client.sent[-1] == f"and now?\n\n{block_of('three')}"


async def test_of_twins_that_were_answered_alike_the_first_keeps_its_prefix() -> None:
    store = InMemoryStore()
    first, second = Client(store), Client(store)
    await first.ask("hello", bank="one", answer="ok")
    await second.ask("hello", bank="two", answer="ok")
    before = first.sent
    await first.ask("and now?", bank="two", answer="ok")
    assert first.sent[: len(before)] == before


async def test_named_twins_that_were_answered_alike_keep_theirs_both() -> None:
    store = InMemoryStore()
    clients = [Client(store, session="one"), Client(store, session="two")]
    for client in clients:
        await client.ask("hello", bank=str(client.session), answer="ok")
    for client in clients:
        before = client.sent
        await client.ask("and now?", bank="three", answer="ok")
        assert client.sent[: len(before)] == before


banks = st.sampled_from(["one", "two", "three"])
steps = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from(["ask", "tool"]), st.sampled_from(["hello", "go on"]), banks),
    min_size=1,
    max_size=10,
)


@settings(max_examples=12)
@given(steps)
async def test_whatever_conversations_do_each_keeps_what_its_model_has_read(
    steps: Sequence[tuple[int, str, str, str]],
) -> None:
    """Three conversations that begin alike, in any order, with a bank that changes: no prompt leaves its prefix."""
    store = InMemoryStore()
    clients = [Client(store) for _ in range(3)]
    for number, (who, what, words, bank) in enumerate(steps):
        client = clients[who]
        before = client.sent
        last = client.messages[-1]
        if isinstance(last, AIMessage) and last.tool_calls:
            await client.tell_result(f"result {number}", bank=bank, answer=f"answer {number}")
        elif what == "tool":
            await client.ask_for_a_tool(words, bank=bank)
        else:
            await client.ask(words, bank=bank, answer=f"answer {number}")
        assert client.sent[: len(before)] == before


async def test_a_message_keeps_its_block_where_the_client_cut_its_history() -> None:
    """Cline drops messages from the middle when its window is full; what stays keeps what it had."""
    client = Client(InMemoryStore())
    for number, bank in enumerate(("one", "two", "three")):
        await client.ask(f"question {number}", bank=bank, answer=f"answer {number}")
    third = client.sent[5]
    del client.messages[3:5]  # the second question, and its answer
    client.messages[3:3] = [HumanMessage("[older messages were removed]"), AIMessage("I see.")]
    await client.ask("question 3", bank="three", answer="x")
    assert client.sent[1] == f"question 0\n\n{block_of('one')}"
    assert client.sent[5] == third == f"question 2\n\n{block_of('three')}"
    assert client.sent[3] == "[older messages were removed]"


async def test_the_same_session_id_in_two_projects_shares_no_memory() -> None:
    """A client with a fixed `x-session-id` got one project's notes beside the same words in another's history."""
    store = InMemoryStore()
    await Client(store, session="fixed").ask("hello", bank="one", answer="At one.")
    other = Client(store, session="fixed", workspace=Path("other"))
    other.messages += [HumanMessage("hello"), AIMessage("At nothing.")]
    await other.ask("and now?", bank="two", answer="x")
    assert other.sent[1:] == ["hello", "At nothing.", f"and now?\n\n{block_of('two')}"]


async def test_an_attempt_that_failed_is_tried_again_with_the_same_bytes() -> None:
    store = InMemoryStore()
    made = Turn.of_messages([HumanMessage("where are we?")], workspace=WORKSPACE)
    failing = model(UpstreamBroken("cut"))
    memory = FakeMemory((passage("The importer waits for the schema."),))
    with pytest.raises(UpstreamBroken):
        await run(made, deps(FakeModels(failing), memory, store))
    memory.passages = (passage("By now the embedder is loaded and ranks otherwise."),)
    retried = says("x")
    await run(made, deps(FakeModels(retried), memory, store))
    assert [each.content for each in retried.asked[0]] == [each.content for each in failing.asked[0]]
    # Answered by now: the same words begin another task, which gets the bank as it is.
    anew = says("x")
    await run(made, deps(FakeModels(anew), memory, store))
    assert "ranks otherwise" in str(anew.asked[0][0].content)


async def test_a_question_that_is_asked_again_amid_a_conversation_keeps_its_block() -> None:
    """The person had an answer made anew after the bank had changed: the model read the question with other notes."""
    client = Client(InMemoryStore())
    await client.ask("hello", bank="one", answer="a")
    await client.ask("and now?", bank="two", answer="b")
    before = client.sent
    del client.messages[-1]
    await client.send("three", says("another b"))
    assert client.sent == before
    await client.ask("and since?", bank="three", answer="c")
    assert client.sent[: len(before)] == before
    assert client.sent[-1] == f"and since?\n\n{block_of('three')}"


async def test_a_first_question_of_a_client_with_one_session_id_for_all_gets_the_bank_as_it_is() -> None:
    store = InMemoryStore()
    for bank in ("one", "two"):
        client = Client(store, session="fixed")
        await client.ask("where are we?", bank=bank, answer="there")
        assert client.sent[-1] == f"where are we?\n\n{block_of(bank)}"


async def test_an_answer_that_was_broken_off_leaves_its_question_as_it_was() -> None:
    """The person pressed stop and went on: the answer's beginning stands in the history, and was never recorded."""
    client = Client(InMemoryStore())
    await client.ask("hello", bank="one", answer="first answer")
    client.messages[-1] = AIMessage("first ans")
    before = client.sent
    await client.ask("no, otherwise", bank="two", answer="x")
    assert client.sent[: len(before)] == before


async def test_an_answer_that_was_broken_off_leaves_nobody_with_a_twins_block() -> None:
    """Yesterday's task had begun with the same words: today's went on with its notes, and as its conversation."""
    store = InMemoryStore()
    yesterday, today = Client(store), Client(store)
    await yesterday.ask("where are we?", bank="one", answer="At one.")
    today.messages.append(HumanMessage("where are we?"))
    with pytest.raises(UpstreamBroken):
        await today.send("two", model(UpstreamBroken("cut")))
    today.messages.append(AIMessage("At tw"))
    await today.ask("and now?", bank="two", answer="x")
    assert today.sent[1] == f"where are we?\n\n{block_of('two')}"
    before = yesterday.sent
    await yesterday.ask("and now?", bank="two", answer="y")
    assert yesterday.sent[: len(before)] == before


async def test_a_twin_that_is_answered_meanwhile_gives_its_block_to_nobody() -> None:
    """Three tasks that began with the same words: the second one's end had the third go on with its notes."""
    sessions = Sessions(InMemoryStore())
    shared = "shared"

    async def ends(name: str) -> None:
        record = {"conversation": name, "role": "memory_fast", "blocks": {"1": digest_of(name)}}
        await sessions.keep_conversation([shared, f"{shared} {name}"], record)

    await ends("first")
    await sessions.share(shared)
    for name in ("second", "third"):
        await sessions.keep_block(name, [shared])
    await ends("second")
    assert sessions.find([shared, "broken off"]).blocks == {}
    assert sessions.find([shared, f"{shared} second"]).texts == {digest_of("second"): "second"}


async def test_what_stands_in_the_prompt_already_is_not_added_again() -> None:
    client = Client(InMemoryStore())
    await client.ask("hello", bank="one", answer="a")
    await client.ask("and now?", bank="one", answer="b")
    assert client.sent[-1] == "and now?"
    await client.ask("and since?", bank="two", answer="c")
    assert client.sent[-1] == f"and since?\n\n{block_of('two')}"
    await client.ask("still?", bank="two", answer="d")
    assert client.sent[-1] == "still?"


async def test_left_out_says_why() -> None:
    noted = passage("The importer waits for the schema to be agreed on.")
    read = HumanMessage(f"<file_content>\n{noted.text}\n</file_content> where are we?")
    state = await run(Turn.of_messages([read], workspace=WORKSPACE), deps(FakeModels(says("x")), FakeMemory((noted,))))
    assert state["ledger"].left_out == ("memory-bank/progress.md: already in the prompt",)
    assert (state["blocks"], state["sources"]) == ({}, [])


async def routed(client: Client) -> Routed:
    context = deps(FakeModels(says("x")), FakeMemory(), client.store)
    made = Turn.of_messages(client.messages, workspace=WORKSPACE)
    event = (await events_of(made, context))[0]
    assert isinstance(event, Routed)
    return event


async def test_a_prompt_that_leaves_the_last_one_is_told_with_whose_doing_it_was() -> None:
    client = Client(InMemoryStore())
    for number in range(3):
        await client.ask(f"question {number}", bank="one", answer=f"answer {number}")
    client.messages.append(HumanMessage("and now?"))
    assert (await routed(client)).left is None
    client.messages[3] = HumanMessage("another question")
    left = (await routed(client)).left
    assert left is not None
    assert (left.message, left.by) == (3, "client")
    assert left.tokens > 20
    assert isinstance(left, PrefixLeft)


async def test_a_conversation_is_known_again_where_its_system_prompt_was_written_anew() -> None:
    """Cline writes it anew whenever the mode is switched: the memory beside earlier words was gone with it."""
    client = Client(InMemoryStore())
    for mode, bank in (("act", "one"), ("plan", "two"), ("act", "three"), ("plan", "three")):
        client.messages[0] = SystemMessage(f"You are in {mode} mode.")
        before = client.sent[1:]
        await client.ask(f"a question in {mode} mode", bank=bank, answer=f"an answer about {bank} in {mode} mode")
        assert client.sent[1:][: len(before)] == before
    client.messages.append(HumanMessage("and now?"))
    client.messages[0] = SystemMessage("You are in act mode.")
    left = (await routed(client)).left
    assert left is not None
    assert (left.message, left.tokens, left.by) == (0, 0, "client")
