"""The windows that the server really gives our calls, where they are smaller than what was asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import structlog

from backends.discovery import LARGEST_ANSWER_SHARE
from backends.types import LoadedModel, ModelCard
from config.errors import SmallerWindow
from config.schema import Role

log = structlog.get_logger(__name__)

Cards = Mapping[Role, ModelCard]


class GivenWindows:
    """Knows of a model what it was loaded with right after a load of ours.

    At any other time it may be another client's load that shows, and our next call makes Ollama load the model anew.
    """

    def __init__(self) -> None:
        self._given: dict[str, int] = {}

    def saw(self, card: ModelCard, model: LoadedModel | None) -> None:
        """Take in how the model is loaded now that a load of ours has ended."""
        if model is None or model.window_tokens is None:
            return
        asked = int(card.options["num_ctx"])
        given = min(asked, model.window_tokens)
        if given < asked and given != self._given.get(card.name):
            log.warning("the server gave a smaller window than ours", model=card.name, asked=asked, given=given)
        self._given[card.name] = given

    def check(self, card: ModelCard) -> None:
        """Raises `SmallerWindow` where a call was planned with more than what is given."""
        given = self._given.get(card.name, card.window_tokens)
        if given < card.window_tokens:
            raise SmallerWindow(
                f"{card.name} was loaded with {given} tokens in place of {card.window_tokens}: ask again."
            )

    def applied(self, cards: Cards) -> Cards:
        """The cards with these windows; the options of a call stay as they are, as another `num_ctx` is a reload."""
        return {role: _bounded(card, self._given.get(card.name)) for role, card in cards.items()}


def _bounded(card: ModelCard, given: int | None) -> ModelCard:
    if given is None or given >= card.window_tokens:
        return card
    limit = min(card.answer_limit_tokens, given // LARGEST_ANSWER_SHARE)
    return replace(card, window_tokens=given, answer_limit_tokens=limit)
