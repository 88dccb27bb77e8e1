"""The windows that the server really gave our calls, where they are smaller than what was asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import structlog

from backends.discovery import LARGEST_ANSWER_SHARE
from backends.types import LoadedModel, ModelCard
from config.schema import Role

log = structlog.get_logger(__name__)


class GivenWindows:
    """Knows of a model what it was loaded with right after a call of ours.

    At any other time it may be another client's call that shows, and ours would make the server load it anew.
    """

    def __init__(self) -> None:
        self._given: dict[str, int] = {}

    def is_settled(self, card: ModelCard) -> bool:
        """Whether the model was seen with all that we ask for; else every call is looked at."""
        return self._given.get(card.name) == int(card.options["num_ctx"])

    def saw(self, card: ModelCard, model: LoadedModel | None) -> None:
        """Take in how the model is loaded now that a call of ours has ended."""
        if model is None or model.window_tokens is None:
            return
        asked = int(card.options["num_ctx"])
        given = min(asked, model.window_tokens)
        if given < asked and given != self._given.get(card.name):
            log.warning("the server gave a smaller window than ours", model=card.name, asked=asked, given=given)
        self._given[card.name] = given

    def applied(self, cards: Mapping[Role, ModelCard]) -> Mapping[Role, ModelCard]:
        """The cards with these windows; the options of a call stay as they are, as another `num_ctx` is a reload."""
        return {role: self._applied(card) for role, card in cards.items()}

    def _applied(self, card: ModelCard) -> ModelCard:
        given = self._given.get(card.name, card.window_tokens)
        if given >= card.window_tokens:
            return card
        limit = min(card.answer_limit_tokens, given // LARGEST_ANSWER_SHARE)
        return replace(card, window_tokens=given, answer_limit_tokens=limit)
