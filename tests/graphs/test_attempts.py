"""What a failed call leads to, where the models behind the roles have changed since it was planned."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import pytest
from langchain_core.language_models import BaseChatModel
from langgraph.store.memory import InMemoryStore

from backends.types import ModelCard
from chains.events import Routed, TextDelta
from config.errors import BackendError, BackendUnavailable, ModelMissing, SmallerWindow
from config.schema import ROLES, Role
from tests.chains.chain_support import NAMES, person
from tests.graphs.graph_support import WORKSPACE, FakeMemory, FakeModels, card, deps, events_of, passage, says

TINY = "smollm2:135m"


@dataclass
class TakenOver(FakeModels):
    """A server that is left as soon as it is called; the one that comes after it has `after`."""

    gone: BackendError | None = None
    after: Mapping[Role, ModelCard] | None = None

    @asynccontextmanager
    async def lease(self, card: ModelCard) -> AsyncIterator[BaseChatModel]:
        if card.name == TINY and self.gone and self.after:
            self.known = self.after
            raise self.gone
        async with super().lease(card) as model:
            yield model


def taken_over(gone: BackendError, after: Mapping[Role, ModelCard]) -> TakenOver:
    return TakenOver(says("by Ollama"), {role: card(role, name=TINY) for role in ROLES}, gone=gone, after=after)


@pytest.mark.parametrize("gone", [ModelMissing("not pulled"), BackendUnavailable("refused")])
async def test_a_request_planned_for_a_server_that_is_left_goes_to_the_same_roles_new_model(gone: BackendError) -> None:
    """It was told to pull the embedded model, or got another role's model as if its own had failed."""
    models = taken_over(gone, {role: card(role, window=4096) for role in ROLES})
    events = await events_of(person("fix the bug"), deps(models))
    routed = [event for event in events if isinstance(event, Routed)]
    assert [event.decision.model for event in routed] == [TINY, NAMES["implementation"]]
    assert routed[-1].decision.role == "implementation"
    assert routed[-1].decision.fallback is None
    assert routed[-1].decision.reason.endswith(f"planned anew, as {TINY} has gone")
    assert routed[-1].ledger.window == 4096
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == "by Ollama"


async def test_where_the_new_server_has_no_model_for_the_role_another_one_stands_in() -> None:
    models = taken_over(ModelMissing("not pulled"), {"memory_fast": card("memory_fast")})
    events = await events_of(person("fix the bug"), deps(models))
    decision = next(event.decision for event in reversed(events) if isinstance(event, Routed))
    assert (decision.role, decision.fallback) == ("memory_fast", f"implementation: {TINY} failed (ModelMissing)")


@dataclass
class GivesLess(FakeModels):
    """A server that has not the models `missing`; what it `gives` less of a window turns out with a model's call."""

    gives: Mapping[Role, int] = field(default_factory=dict)
    missing: Collection[Role] = ()

    @asynccontextmanager
    async def lease(self, card: ModelCard) -> AsyncIterator[BaseChatModel]:
        async with super().lease(card) as model:
            if card.role in self.missing:
                raise ModelMissing("not pulled")
            given = self.gives.get(card.role, card.window_tokens)
            if given < card.window_tokens:
                self.known = {**self.known, card.role: replace(card, window_tokens=given)}
                raise SmallerWindow("loaded with less")
            yield model


async def test_a_stand_in_with_a_smaller_window_goes_on_standing_in() -> None:
    """The request was planned from its beginning: the model that had failed was called again, its failure untold."""
    models = GivesLess(says("x"), gives={"memory_analysis": 4096}, missing=["implementation"])
    events = await events_of(person("fix the bug"), deps(models))
    routed = [event for event in events if isinstance(event, Routed)][-1]
    assert models.leased == [NAMES[role] for role in ("implementation", "memory_analysis", "memory_analysis")]
    assert (routed.decision.fallback or "").startswith("implementation: ")
    assert routed.ledger.window == 4096


async def test_a_request_that_a_smaller_window_sends_elsewhere_keeps_the_sources_of_its_block() -> None:
    """Its block was taken for an earlier attempt's, of which nothing is known but the text."""
    models = GivesLess(says("x"), gives={"implementation": 4096})
    memory = FakeMemory((passage("The importer is slow.", heading="Open"),))
    turn = person("fix the bug " + "word " * 5000, workspace=WORKSPACE)
    routed = [
        event for event in await events_of(turn, deps(models, memory, InMemoryStore())) if isinstance(event, Routed)
    ]
    assert routed[0].decision.role == "implementation"
    assert routed[-1].decision.role == "memory_analysis"
    assert routed[-1].ledger.memory > 0
    assert (routed[-1].sources, routed[-1].memory_note) == (("memory-bank/progress.md#Open",), None)
