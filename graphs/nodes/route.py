"""Understands the request's size and decides who answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from langchain_core.messages import convert_to_messages
from langgraph.runtime import Runtime

from chains.turn import AUTOMATIC, Turn, is_image_uri
from config.errors import BadRequest
from graphs.deps import Deps
from graphs.planning import plan
from graphs.state import RouterInput, RouteUpdate


async def route(state: RouterInput, runtime: Runtime[Deps]) -> RouteUpdate:
    """Decide role and model, find the conversation, open the context ledger.

    Raises:
        BadRequest: no messages, an unknown model, or a request that no model can take.
        BackendUnavailable: no model server answers.
    """
    return await plan(_turn(state), runtime.context)


def _turn(state: RouterInput) -> Turn:
    if turn := state.get("turn"):
        return turn
    try:
        messages = convert_to_messages(state.get("messages") or [])
    except (ValueError, TypeError, NotImplementedError) as error:
        raise BadRequest(
            f"messages cannot be understood ({error}): send LangChain messages.", param="messages"
        ) from error
    for message in messages:
        for part in message.content if isinstance(message.content, list) else ():
            _check(part)
    if not messages:
        raise BadRequest("messages is empty: send at least one message.", param="messages")
    workspace = state.get("workspace")
    return Turn.of_messages(
        messages,
        model=state.get("model") or AUTOMATIC,
        workspace=Path(workspace) if workspace else None,
        mode=state.get("mode") or "none",
    )


def _check(part: str | dict[Any, Any]) -> None:
    """What `wire/` has checked of a `Turn`, for messages that come as LangChain's."""
    kind = part.get("type") if isinstance(part, dict) else "text"
    if kind not in ("text", "image_url"):
        raise BadRequest(f"A message has a part of type {str(kind)!r}: send text and images.", param="messages")
    if isinstance(part, dict) and kind == "image_url" and not _is_inside(part.get("image_url")):
        raise BadRequest(
            "An image is no data URI in base64 (data:image/png;base64,…): send it as one, as the service fetches "
            "nothing.",
            param="messages",
        )


def _is_inside(image: Any) -> bool:
    url = image.get("url") if isinstance(image, dict) else image
    return isinstance(url, str) and is_image_uri(url)
