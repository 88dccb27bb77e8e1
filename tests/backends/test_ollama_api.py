from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import httpx
import pytest

from backends.ollama_api import OllamaApi, same_model
from config.errors import BackendUnavailable, ModelMissing, UpstreamBroken
from tests.backends.backend_support import MODEL, raw_server
from tests.support.scripted_ollama import Model, ScriptedOllama


@asynccontextmanager
async def api_of(base_url: str) -> AsyncIterator[OllamaApi]:
    async with httpx.AsyncClient(base_url=base_url, trust_env=False) as client:
        yield OllamaApi(client)


def answer(value: object, status: str = "200 OK") -> bytes:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return b"HTTP/1.1 %b\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%b" % (status.encode(), len(body), body)


async def test_version_names_and_facts(ollama: ScriptedOllama) -> None:
    async with api_of(ollama.base_url) as api:
        assert api.base_url == ollama.base_url
        assert await api.version(1) == "0.13.0"
        assert await api.pulled() == {
            "qwen3:30b-a3b": 18_600_000_000,
            "qwen2.5-coder:32b": 19_900_000_000,
            "llama4:16x17b": 67_400_000_000,
        }
        facts = await api.facts(MODEL)
    assert (facts.capabilities, facts.window_tokens) == (("completion", "tools", "thinking"), 40_960)


async def test_a_base_url_may_have_a_path() -> None:
    async with raw_server(answer({"version": "1"})) as url, api_of(f"{url}/ollama/") as api:
        assert api.base_url == f"{url}/ollama"
        assert await api.version(1) == "1"


async def test_a_missing_model_says_what_to_type(ollama: ScriptedOllama) -> None:
    async with api_of(ollama.base_url) as api:
        with pytest.raises(ModelMissing, match="type `ollama pull gemma3`"):
            await api.facts("gemma3")


async def test_facts_that_are_not_told_are_assumed(ollama: ScriptedOllama) -> None:
    """Servers older than `capabilities`."""
    async with raw_server(answer({})) as url, api_of(url) as api:
        facts = await api.facts("x")
    assert (facts.capabilities, facts.window_tokens) == (("completion", "tools"), None)


async def test_the_smallest_window_of_several_counts() -> None:
    info = {"clip.context_length": 77, "llama.context_length": 8192, "x.context_length": "big"}
    async with raw_server(answer({"model_info": info, "capabilities": ["vision"]})) as url, api_of(url) as api:
        facts = await api.facts("x")
    assert (facts.capabilities, facts.window_tokens) == (("vision",), 77)


async def test_what_is_loaded_and_where() -> None:
    gib = 1024**3
    running = {
        "name": "qwen2.5-coder:32b",
        "size": 54 * gib,
        "size_vram": 27 * gib // 2,
        "context_length": 131_072,
        "expires_at": "2026-11-25T16:47:07.933551234-07:00",
    }
    models = [running, {"model": "old", "expires_at": "soon"}]
    async with raw_server(answer({"models": models})) as url, api_of(url) as api:
        coder, old = await api.loaded(1)
    assert (coder.name, coder.window_tokens, coder.size_bytes, coder.ram_share) == (
        "qwen2.5-coder:32b", 131_072, 54 * gib, 0.75,
    )  # fmt: skip
    assert coder.expires_at == datetime(2026, 11, 25, 23, 47, 7, 933551, UTC)
    assert (old.name, old.window_tokens, old.size_bytes, old.ram_share, old.expires_at) == ("old", None, 0, 0.0, None)


@pytest.mark.parametrize("models", [None, {}, "x", [], ["x", 1, None]])
async def test_no_models_where_the_list_makes_no_sense(models: object) -> None:
    async with raw_server(answer({"models": models})) as url, api_of(url) as api:
        assert await api.pulled() == {}
        assert await api.loaded(1) == ()


@pytest.mark.parametrize(
    "wire",
    [
        answer(b"<html>welcome</html>"),
        answer([1]),
        answer({"error": "x"}, "500 Internal Server Error"),
        answer(b"404 page not found", "404 Not Found"),
        answer(b"", "301 Moved Permanently"),
        answer(b"\xff\xfe"),
    ],
    ids=["page", "list", "500", "404", "301", "no text"],
)
async def test_what_is_no_ollama_is_told(wire: bytes) -> None:
    async with raw_server(wire) as url, api_of(url) as api:
        with pytest.raises(UpstreamBroken, match="/api/version did not answer as Ollama does"):
            await api.version(1)


@pytest.mark.parametrize("wire", [b"", b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{"])
async def test_what_breaks_off_is_unreachable(wire: bytes) -> None:
    async with raw_server(wire) as url, api_of(url) as api:
        with pytest.raises(BackendUnavailable, match="set OLLAMA_BASE_URL"):
            await api.version(1)


async def test_silence_is_unreachable_after_the_limit() -> None:
    async with raw_server(b"", then_hang=True) as url, api_of(url) as api:
        with pytest.raises(BackendUnavailable) as caught:
            await api.version(0.1)
    assert caught.value.retry_after_s


async def test_nothing_there_is_unreachable(ollama: ScriptedOllama) -> None:
    await ollama.stop_listening()
    async with api_of(ollama.base_url) as api:
        with pytest.raises(BackendUnavailable, match="No Ollama answers at"):
            await api.pulled()


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        ("llama4", "llama4:latest", True),
        ("llama4:16x17b", "llama4:16x17b", True),
        ("llama4", "llama4:16x17b", False),
        ("hf.co:443/me/x", "hf.co:443/me/x:latest", True),
        ("hf.co/me/x:Q4", "hf.co/me/x", False),
    ],
)
def test_names_without_a_tag_mean_latest(left: str, right: str, same: bool) -> None:
    assert same_model(left, right) is same_model(right, left) is same


def test_the_scripted_names_have_tags() -> None:
    assert Model("x").full_name == "x:latest"
