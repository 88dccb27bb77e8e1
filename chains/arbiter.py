"""The routing model as arbiter: asked for one word of JSON where the classifier would rather not say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from langchain_core.exceptions import OutputParserException
from langchain_core.language_models import BaseChatModel
from langchain_core.output_parsers import PydanticOutputParser
from langchain_core.runnables import Runnable
from pydantic import BaseModel, Field

from chains.decision import Wish
from config.errors import RouterError
from config.schema import ROLES, Role

if TYPE_CHECKING:
    from langchain_core.prompts import ChatPromptTemplate

MAX_WORDS_CHARS = 1_500
MAX_PREVIOUS_CHARS = 300
MAX_ANSWER_TOKENS = 24
# How much its word counts: it is right more often than a classifier that abstains, and far from always.
TRUST = 0.7
# LangGraph's own tag: no token of a call with it is streamed to anybody.
NOSTREAM = "nostream"


class Verdict(BaseModel):
    """What the arbiter says."""

    role: Role = Field(description="who should answer")


@dataclass(frozen=True, slots=True)
class Question:
    """What the arbiter is asked about; the turn before where there was one."""

    words: str
    before: Role | None = None
    previous: str = ""


def arbiter_chain(
    model: BaseChatModel, *, jobs: Mapping[Role, str], options: Mapping[str, Any], thinks: bool
) -> Runnable[Question, Verdict]:
    """Prompt | model, bound to the verdict's JSON schema | parser. The model's canonical options keep it loaded."""
    arguments: dict[str, Any] = {
        "format": Verdict.model_json_schema(),
        "options": {**options, "temperature": 0, "num_predict": MAX_ANSWER_TOKENS},
    }
    if thinks:
        arguments["reasoning"] = False
    listed = "\n".join(f"- {role}: {jobs[role]}" for role in ROLES)

    def told(question: Question) -> dict[str, str]:
        previous = question.previous[:MAX_PREVIOUS_CHARS]
        return {
            "jobs": listed,
            "before": question.before or "nobody yet",
            "previous": f"It said: {previous}\n" if previous else "",
            "words": question.words[:MAX_WORDS_CHARS],
        }

    chain: Runnable[Question, Verdict] = (
        told | _prompt() | model.bind(**arguments) | PydanticOutputParser(pydantic_object=Verdict)
    )
    return chain.with_config(tags=[NOSTREAM], run_name="arbiter")


async def ask_arbiter(chain: Runnable[Question, Verdict], question: Question) -> Role | None:
    """The role it names; None where the call fails or what it says is none."""
    try:
        return (await chain.ainvoke(question)).role
    except (RouterError, OutputParserException):
        return None


def with_verdict(guess: Wish, role: Role) -> Wish:
    """The classifier's guess and the arbiter's word as one wish, which seconds are still weighed against."""
    before = guess.probabilities or {}
    rest = sum(value for other, value in before.items() if other != role)
    spread = {
        other: (1 - TRUST) * (before.get(other, 0.0) / rest if rest else 1 / (len(ROLES) - 1))
        for other in ROLES
        if other != role
    }
    return Wish(
        role=role,
        reason=f"the classifier abstained and the arbiter says {role}",
        step="arbiter",
        confidence=TRUST,
        evidence=guess.evidence,
        probabilities={**spread, role: TRUST},
    )


@cache
def _prompt() -> ChatPromptTemplate:
    from langchain_core.prompts import ChatPromptTemplate  # noqa: PLC0415 - brings Jinja along, and is seldom needed

    text = files("chains.prompts").joinpath("arbiter.md").read_text(encoding="utf-8")
    return ChatPromptTemplate.from_messages([("human", text)])
