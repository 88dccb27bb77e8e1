"""Results of tools as a chat's messages: a chat has images in a user's message only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

Json = dict[str, Any]
# A call's id, the result's text, and its images as a chat's parts.
Result = tuple[str, str, Sequence[Json]]


def tool_turns(results: Iterable[Result], said: Sequence[Json] = ()) -> Iterator[Json]:
    """Each result as a message of its own; behind them one of the user's, with their images and what was `said`."""
    images: list[Json] = []
    for call_id, text, shown in results:
        yield {"role": "tool", "tool_call_id": call_id, "content": text}
        images += shown
    if images or said:
        yield {"role": "user", "content": [*images, *said]}
