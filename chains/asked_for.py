"""The role a client or a person names: by the model id, or by `@fast`, `@code`, `@deep`."""

from __future__ import annotations

from collections.abc import Mapping

from chains.decision import Wish
from chains.limits import Candidate
from chains.marks import MARKS
from chains.turn import AUTOMATIC, Turn
from config.errors import UnknownModel
from config.schema import ROLES, Role


def wish_by_name(
    turn: Turn,
    candidates: Mapping[Role, Candidate],
    *,
    model_names: Mapping[Role, str],
    automatic_names: frozenset[str],
) -> Wish | None:
    """What is asked for by name; None where the choice is left to the router. The model id wins over a mark.

    Raises:
        UnknownModel: the id is neither this service, a role nor a role's model.
    """
    if turn.model != AUTOMATIC and turn.model not in automatic_names:
        role = _named(turn.model, candidates, model_names, automatic_names)
        return Wish(role, f"asked for by model id {turn.model}", "asked_for")
    if turn.mark is not None:
        word = next(word for word, role in MARKS.items() if role == turn.mark)
        return Wish(turn.mark, f"asked for with @{word}", "asked_for")
    return None


def _named(
    model: str,
    candidates: Mapping[Role, Candidate],
    model_names: Mapping[Role, str],
    automatic_names: frozenset[str],
) -> Role:
    for role in ROLES:
        if model in {role, model_names[role]}:
            return role
    for role, candidate in candidates.items():
        if model == candidate.name:
            return role
    names = ", ".join([*sorted(automatic_names), *ROLES])
    raise UnknownModel(f"There is no model {model[:100]!r}: use one of {names}.", param="model")
