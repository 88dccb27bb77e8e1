"""What a failed call leads to, where the models behind the roles have changed since it was planned."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from langchain_core.language_models import BaseChatModel

from backends.types import ModelCard
from chains.events import Routed, TextDelta
from config.errors import BackendError, BackendUnavailable, ModelMissing
from config.schema import ROLES, Role
from tests.chains.chain_support import NAMES, person
from tests.graphs.graph_support import FakeModels, card, deps, events_of, says

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
