"""What a scripted Ollama answers by itself: its management paths, preloads, and what it refuses."""

from __future__ import annotations

from collections.abc import Mapping

from tests.support.ollama_catalogue import DEFAULT_NUM_CTX, Model, Residency, keep_alive_seconds, with_tag
from tests.support.ollama_http import Request
from tests.support.ollama_replies import CREATED_AT, JsonObject, Whole

VERSION = "0.13.0"


def manage(request: Request, models: Mapping[str, Model], residency: Residency) -> Whole:
    """Answer the paths that are about models."""
    match request.method, request.path:
        case "GET" | "HEAD", "/":
            return Whole(200, b"Ollama is running", "text/plain; charset=utf-8")
        case "GET", "/api/version":
            return Whole.of({"version": VERSION})
        case "GET", "/api/tags":
            return Whole.of({"models": [model.tag() for model in models.values()]})
        case "GET", "/api/ps":
            return Whole.of(residency.ps())
        case "POST", "/api/show":
            name = request.body.get("model") or request.body.get("name", "")
            model = models.get(with_tag(name))
            return Whole.of(model.show()) if model else _error(404, f"model '{name}' not found")
    return Whole(404, b"404 page not found", "text/plain")


def preload(model: Model | None, chat: JsonObject, residency: Residency) -> Whole:
    """A chat without messages, or `/api/generate` without a prompt: load the model, or unload it (`keep_alive: 0`)."""
    if model is None:
        return _error(404, f"model '{chat.get('model', '')}' not found")
    unload = keep_alive_seconds(chat.get("keep_alive", "5m")) == 0
    if unload:
        residency.unload(model)
    else:
        load(model, chat, residency)
    done = {"done": True, "done_reason": "unload" if unload else "load"}
    empty = {"message": {"role": "assistant", "content": ""}} if "messages" in chat else {"response": ""}
    return Whole.of({"model": chat["model"], "created_at": CREATED_AT, **empty, **done})


def load(model: Model, chat: JsonObject, residency: Residency) -> int:
    """Load as the chat asks; returns the `load_duration` in nanoseconds."""
    num_ctx = (chat.get("options") or {}).get("num_ctx", DEFAULT_NUM_CTX)
    return residency.load(model, num_ctx=num_ctx, keep_alive=chat.get("keep_alive", "5m"))


def _error(status: int, message: str) -> Whole:
    return Whole.of({"error": message}, status)


def refusal(chat: JsonObject, model: Model | None) -> Whole | None:
    """What Ollama itself refuses before any model runs."""
    if model is None:
        return _error(404, f"model '{chat.get('model', '')}' not found")
    if chat.get("think") and "thinking" not in model.capabilities:
        return _error(400, f'"{chat["model"]}" does not support thinking')
    if chat.get("tools") and "tools" not in model.capabilities:
        return _error(400, f"registry.ollama.ai/library/{model.full_name} does not support tools")
    return None
