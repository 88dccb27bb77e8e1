"""The memory bank's block: at the end of the person's message, and the same bytes in every later request.

One byte that differs makes the model read its whole prompt again, for minutes on the reference machine.
"""

import copy
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.requests import load_request
from tests.support.scripted_ollama import Reply, ScriptedOllama
from tests.support.service import CHAT, Running, running_service

NOTES = "# Progress\n\nThe pump waits for the tank.\n\n## Next\n\nA frost warning.\n"
MEMORY = {"enabled": True}
# sentence-transformers and torch load in a thread; their own deprecations are not ours.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


@pytest.fixture
async def ollama() -> AsyncIterator[ScriptedOllama]:
    async with ScriptedOllama() as ollama:
        yield ollama


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    bank = tmp_path / "greenhouse" / "memory-bank"
    bank.mkdir(parents=True)
    (bank / "progress.md").write_text(NOTES, encoding="utf-8")
    (bank / "projectbrief.md").write_text("# Brief\n\nWaters a greenhouse.\n", encoding="utf-8")
    return bank.parent


def body_in(workspace: Path, name: str) -> dict[str, Any]:
    body = copy.deepcopy(load_request(name).body)
    (system, *_) = body["messages"]
    assert "/home/sam/greenhouse" in system["content"]
    system["content"] = system["content"].replace("/home/sam/greenhouse", str(workspace))
    return body


async def sent(running: Running, body: dict[str, Any]) -> list[dict[str, Any]]:
    """The messages that reached the model."""
    answer = await running.http.post(CHAT, json={**body, "stream": False, "stream_options": None})
    assert answer.status_code == 200, answer.text
    messages: list[dict[str, Any]] = running.ollama.chats[-1]["messages"]
    return messages


def with_tool_loop(body: dict[str, Any]) -> dict[str, Any]:
    call = {"id": "c1", "type": "function", "function": {"name": "read_files", "arguments": '{"files": []}'}}
    turns = [
        {"role": "assistant", "content": "I look.", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "[]"},
    ]
    return {**body, "messages": [*body["messages"], *turns]}


async def test_the_block_stays_the_same_also_after_a_restart(tmp_path: Path, workspace: Path) -> None:
    body = body_in(workspace, "sdk_first_turn")
    question = body["messages"][-1]["content"]
    async with ScriptedOllama() as ollama:
        async with running_service(ollama, tmp_path, memory=MEMORY) as running:
            system, first = await sent(running, body)
            assert system["content"] == body["messages"][0]["content"]
            assert first["content"].startswith(question + "\n\n<project_notes>\n")
            assert first["content"].endswith("\n</project_notes>")
            assert "The pump waits for the tank." in first["content"]
            assert "Waters a greenhouse." in first["content"]
            assert "[memory-bank/progress.md" in first["content"]
            # The bank changes, as it does while an agent works; what was said stays said.
            (workspace / "memory-bank" / "progress.md").write_text("# Progress\n\nAll is new.\n", encoding="utf-8")
            looped = await sent(running, with_tool_loop(body))
            assert looped[:2] == [system, first]
            assert "project_notes" not in looped[-1]["content"]
        async with running_service(ollama, tmp_path, memory=MEMORY) as running:
            longer = with_tool_loop(with_tool_loop(body))
            assert (await sent(running, longer))[:2] == [system, first]
            # A person's new words get the bank as it is now; the earlier block stays.
            asked = {**longer, "messages": [*longer["messages"], {"role": "user", "content": "and now?"}]}
            messages = await sent(running, asked)
            assert messages[:2] == [system, first]
            assert messages[-1]["content"].startswith("and now?\n\n<project_notes>\n")
            assert "All is new." in messages[-1]["content"]
            conversations = {chat["messages"][1]["content"] for chat in ollama.chats}
            assert conversations == {first["content"]}
            # Asked again, as a client does after a lost answer.
            assert await sent(running, asked) == messages


async def test_who_gets_no_block(tmp_path: Path, workspace: Path) -> None:
    async with ScriptedOllama() as ollama, running_service(ollama, tmp_path, memory=MEMORY) as running:
        for name in ("sdk_compaction", "sdk_sub_agent", "plain_sdk_call"):
            messages = await sent(running, load_request(name).body)
            assert not any("project_notes" in message["content"] for message in messages), name
        # A tool's result alone, of a conversation that this service never saw.
        messages = await sent(running, body_in(workspace, "sdk_tool_results"))
        assert not any("project_notes" in message["content"] for message in messages)
        # Nobody else's text is told to be the bank's: the header names the tokens of memory.
        answer = await running.http.post(CHAT, json=body_in(workspace, "sdk_first_turn"))
        assert "memory=0" not in answer.headers["x-router-context"]


async def test_a_workspace_without_a_bank(tmp_path: Path) -> None:
    async with ScriptedOllama() as ollama, running_service(ollama, tmp_path, memory=MEMORY) as running:
        body = body_in(tmp_path / "nowhere", "sdk_first_turn")
        assert (await sent(running, body))[-1]["content"] == body["messages"][-1]["content"]


async def test_conversations_are_told_apart(tmp_path: Path) -> None:
    async with ScriptedOllama() as ollama, running_service(ollama, tmp_path) as running:

        async def conversation(*texts: str) -> str:
            roles = ("user", "assistant")
            messages = [{"role": roles[place % 2], "content": text} for place, text in enumerate(texts)]
            return (await running.chat(messages=messages)).headers["x-router-conversation"]

        first = await conversation("hello")
        assert await conversation("hello", "ok", "go on") == first
        assert await conversation("other") != first


def question(text: str, **more: Any) -> dict[str, Any]:
    return {"model": "cline-memory-router", "messages": [{"role": "user", "content": text}], **more}


@pytest.fixture
def other_workspace(tmp_path: Path) -> Path:
    bank = tmp_path / "orchard" / "memory-bank"
    bank.mkdir(parents=True)
    for name in ("progress.md", "projectbrief.md"):
        (bank / name).write_text(f"# {name}\n\nApples are a secret.\n", encoding="utf-8")
    return bank.parent


async def test_no_workspace_sees_the_memory_of_another(
    ollama: ScriptedOllama, tmp_path: Path, workspace: Path, other_workspace: Path
) -> None:
    """The same first words in two projects shared one block: the one that was added last."""
    first = [{"role": "user", "content": "where did we leave off?"}]
    later = [*first, {"role": "assistant", "content": "At the pump."}, {"role": "user", "content": "and now?"}]

    async def asked(running: Running, messages: list[dict[str, str]], **more: Any) -> tuple[str, str]:
        body = {"model": "cline-memory-router", "messages": messages, **more}
        answer = await running.http.post(CHAT, json=body)
        assert answer.status_code == 200, answer.text
        return str(running.ollama.chats[-1]["messages"]), answer.headers["x-router-conversation"]

    async with running_service(ollama, tmp_path, memory=MEMORY) as running:
        here, there = ({"metadata": {"workspace": str(each)}} for each in (workspace, other_workspace))
        prompt, conversation = await asked(running, first, **here)
        assert "The pump waits" in prompt
        prompt, other_conversation = await asked(running, first, **there)
        assert "Apples" in prompt
        assert "The pump waits" not in prompt
        assert other_conversation != conversation
        prompt, same_conversation = await asked(running, later, **here)
        assert "Apples" not in prompt
        assert "The pump waits" in prompt
        assert same_conversation == conversation
        prompt, _ = await asked(running, later)
        assert "project_notes" not in prompt
    async with running_service(ollama, tmp_path, memory={"enabled": False}) as running:
        prompt, _ = await asked(running, later, **here)
        assert "project_notes" not in prompt


async def test_memory_has_room_where_the_client_asks_for_all_of_it(
    ollama: ScriptedOllama, tmp_path: Path, workspace: Path
) -> None:
    """Cline sends as `max_tokens` all that its window has left."""
    async with running_service(ollama, tmp_path, memory=MEMORY) as running:
        body = question("where did we leave off?", max_tokens=130_900, metadata={"workspace": str(workspace)})
        answer = await running.http.post(CHAT, json={**body, "model": "implementation"})
        assert answer.status_code == 200, answer.text
        call = running.ollama.chats[-1]
        assert "The pump waits" in call["messages"][-1]["content"]
        assert 130_000 < call["options"]["num_predict"] <= 130_900


async def test_memory_gives_way_where_the_model_counts_more_than_we_did(
    ollama: ScriptedOllama, tmp_path: Path, workspace: Path
) -> None:
    ollama.script(Reply.window_exceeded("the request exceeds the available context size"), Reply.text("ok"))
    async with running_service(ollama, tmp_path, memory=MEMORY) as running:
        body = question("where did we leave off?", metadata={"workspace": str(workspace)})
        answer = await running.http.post(CHAT, json=body)
        assert answer.status_code == 200, answer.text
        with_memory, without = (call["messages"][-1]["content"] for call in ollama.chats)
        assert "project_notes" in with_memory
        assert without == "where did we leave off?"
        assert "memory=0" in answer.headers["x-router-context"]
        assert "left_out=0" not in answer.headers["x-router-context"]
        later = [*body["messages"], {"role": "assistant", "content": "ok"}, {"role": "user", "content": "and?"}]
        await running.http.post(CHAT, json={**body, "messages": later})
        assert ollama.chats[-1]["messages"][0]["content"] == without


async def test_a_request_that_is_too_long_without_memory_stays_refused(ollama: ScriptedOllama, tmp_path: Path) -> None:
    ollama.script(Reply.window_exceeded("the request exceeds the available context size"))
    async with running_service(ollama, tmp_path, memory=MEMORY) as running:
        answer = await running.chat("hello")
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "context_length_exceeded")
        assert len(ollama.chats) == 1
