"""With Ollama there and a model missing, the service runs with what is there and names the command to type."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.support.requests import load_request
from tests.support.scripted_ollama import REFERENCE_MODELS, Model, ScriptedOllama
from tests.support.service import CHAT, Running, ask, running_service

FAST, CODER, LARGE = REFERENCE_MODELS


def picture_request(**more: Any) -> dict[str, Any]:
    body = load_request("sdk_image_read").body
    return {**body, **more}


async def test_a_missing_model_is_named_and_done_without(tmp_path: Path) -> None:
    async with ScriptedOllama([FAST]) as ollama, running_service(ollama, tmp_path) as running:
        health = (await running.http.get("/health")).json()
        assert health["status"] == "degraded"
        assert health["backend"]["kind"] == "ollama"
        assert health["models"]["memory_fast"]["present"]
        assert health["models"]["implementation"] == {
            "wanted": "qwen2.5-coder:32b",
            "present": False,
            "to_get_it": "ollama pull qwen2.5-coder:32b",
            "stands_in": "memory_fast",
        }
        assert (await running.http.get("/health/ready")).status_code == 200
        answer = await running.chat("fix the test")
        assert answer.status_code == 200
        assert answer.headers["x-router-role"] == "memory_fast"
        assert "is not there (`ollama pull " in answer.headers["x-router-reason"]
        assert ollama.chats[0]["model"] == "qwen3:30b-a3b"
        ids = [model["id"] for model in (await running.http.get("/v1/models")).json()["data"]]
        assert "implementation" not in ids


async def test_no_configured_model_at_all(tmp_path: Path) -> None:
    async with ScriptedOllama([Model("other")]) as ollama, running_service(ollama, tmp_path) as running:
        answer = await running.chat(stream=True)
        assert answer.status_code == 503
        for model in REFERENCE_MODELS:
            assert f"ollama pull {model.name}" in answer.json()["error"]["message"]
        assert (await running.http.get("/health/ready")).status_code == 503
        assert ollama.chats == []


async def test_pictures_go_to_a_model_that_sees(tmp_path: Path) -> None:
    async with ScriptedOllama() as ollama, running_service(ollama, tmp_path) as running:
        answer = await running.http.post(CHAT, json=picture_request())
        assert answer.status_code == 200, answer.text
        assert answer.headers["x-router-role"] == "memory_analysis"
        assert ollama.chats[0]["model"] == "llama4:16x17b"
        assert ollama.chats[0]["messages"][-1]["images"]
        # Asking for a blind role by name does not blind the answer.
        answer = await running.http.post(CHAT, json=picture_request(model="implementation"))
        assert answer.headers["x-router-role"] == "memory_analysis"
        assert "cannot see images" in answer.headers["x-router-reason"]


async def test_pictures_where_no_model_sees(tmp_path: Path) -> None:
    async with ScriptedOllama([FAST, CODER]) as ollama, running_service(ollama, tmp_path) as running:
        answer = await running.http.post(CHAT, json=picture_request())
        error = answer.json()["error"]
        assert (answer.status_code, error["param"]) == (400, "messages")
        for name in (FAST.name, CODER.name):
            assert f"{name} cannot see images" in error["message"]
        assert "memory_analysis: llama4:16x17b is not there (`ollama pull llama4:16x17b`)" in error["message"]
        assert (await running.chat()).status_code == 200


async def test_tools_where_no_model_calls_any(tmp_path: Path) -> None:
    blind = [Model(model.name, model.window, ("completion",)) for model in REFERENCE_MODELS]
    tools = [{"type": "function", "function": {"name": "f"}}]
    async with ScriptedOllama(blind) as ollama, running_service(ollama, tmp_path) as running:
        answer = await running.chat(tools=tools)
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "tools")
        assert "cannot call tools" in answer.json()["error"]["message"]
        assert (await running.chat(tools=tools, tool_choice="none")).status_code == 200
        assert ollama.chats[0].get("tools") in (None, [])


async def test_a_request_too_long_for_one_window_goes_to_a_larger_one(tmp_path: Path) -> None:
    async with ScriptedOllama() as ollama, running_service(ollama, tmp_path) as running:
        answer = await running.chat("word " * 60_000, model="memory_fast")
        assert answer.headers["x-router-role"] == "implementation"
        assert "do not fit the window" in answer.headers["x-router-reason"]
        assert ollama.chats[0]["options"]["num_ctx"] == 131_072


async def test_a_window_that_is_too_small(tmp_path: Path) -> None:
    small = [Model(model.name, 2048, model.capabilities) for model in REFERENCE_MODELS]
    async with ScriptedOllama(small) as ollama, running_service(ollama, tmp_path) as running:
        for stream in (True, False):
            answer = await running.http.post(CHAT, json=ask("word " * 3000, stream=stream))
            error = answer.json()["error"]
            assert (answer.status_code, error["code"]) == (400, "context_length_exceeded")
            assert "maximum context length is 2048 tokens" in error["message"]
        assert ollama.chats == []
        assert (await running.chat()).status_code == 200
        assert ollama.chats[0]["options"]["num_ctx"] == 2048


async def health_of(running: Running) -> dict[str, Any]:
    health: dict[str, Any] = (await running.http.get("/health")).json()
    return health


async def test_health_tells_its_state(tmp_path: Path) -> None:
    async with ScriptedOllama() as ollama, running_service(ollama, tmp_path) as running:
        health = await health_of(running)
        assert {"status", "version", "uptime_s", "backend", "models", "embedder", "memory"} <= health.keys()
        assert health["status"] == "ok"
        assert health["backend"]["base_url"] == ollama.base_url
        assert health["embedder"]["state"] == "not loaded"
        windows = {role: model["window_tokens"] for role, model in health["models"].items()}
        assert windows == {"memory_fast": 40_960, "implementation": 131_072, "memory_analysis": 200_000}
        assert (await running.http.get("/health/live")).json() == {"status": "alive"}
        ready = await running.http.get("/health/ready")
        assert (ready.status_code, ready.json()["status"]) == (200, "ready")


async def test_health_tells_what_is_loaded_and_where(tmp_path: Path) -> None:
    there = [FAST, replace(CODER, vram_bytes=4_975_000_000), LARGE]
    async with ScriptedOllama(there) as ollama, running_service(ollama, tmp_path) as running:
        ollama.residency.load(LARGE, num_ctx=4096)
        assert (await running.chat(model="implementation")).status_code == 200
        models = (await health_of(running))["models"]
        assert models["memory_fast"]["loaded"] is None
        coder, large = models["implementation"]["loaded"], models["memory_analysis"]["loaded"]
        assert (coder["window_tokens"], coder["vram_bytes"], coder["ram_share"]) == (131_072, 4_975_000_000, 0.75)
        assert (coder["note"], large["window_tokens"]) == (None, 4096)
        assert "window of 4096 tokens, ours is 200000" in large["note"]


async def test_health_tells_what_the_models_take(tmp_path: Path) -> None:
    async with ScriptedOllama() as ollama, running_service(ollama, tmp_path) as running:
        plan = (await health_of(running))["backend"]["memory_plan"]
        assert (plan["available_gb"], plan["needed_gb"], plan["cache_type"]) == (116, 183.6, "f16")
        assert plan["models"]["qwen2.5-coder:32b"] == {"weights_gb": 19.9, "cache_gb": 34.4}
        assert "used_window_tokens" in plan["problem"]
