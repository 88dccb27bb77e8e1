"""How well requests are sorted among the three roles, and how fast.

    python -m benchmarks.routing REQUESTS.jsonl

Each line is an object with `text` (as a client sends it, Cline's wrappers included), `label`, `difficulty`, `lang`
and, for a follow-up, `prev_label` and `prev_text`. Prints one JSON object: accuracy, by difficulty and language too;
the expected calibration error; how many were left undecided; the time of one decision (`decision_ms_*` with the
request's embedding to be made, `no_embedding` without); and under `baselines` the accuracy of

- `keywords`: a router by plain keywords
- `nearest`: the label of the training row whose embedding lies nearest
- `majority`: the commonest label, always
"""

from __future__ import annotations

import argparse
import json
import re
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage

from chains.classifier import Classifier
from chains.decide import Router, Weighed
from chains.features import ends_of
from chains.lock import Held
from chains.turn import Turn
from config.load import load_settings
from config.schema import ROLES, Role
from retrievers.embeddings import LocalEmbedder
from training.measure import accuracy, accuracy_by, calibration_error, macro_f1
from training.rows import read_rows
from wire.cline import understand

_KEYWORDS: Sequence[tuple[str, Role]] = (
    (r"update memory bank|\bumb\b|initiali[sz]e memory bank", "memory_analysis"),
    (r"\b(plan|architect\w*|design|trade-?offs?|compare|should we|strategy|review|roadmap|analy[sz]e|audit)\b",
     "memory_analysis"),
    (r"\b(fix|implement|add|write|build|create|refactor|debug|error|exception|bug|test|fails?|crash\w*|migrat\w*)\b",
     "implementation"),
    (r"\b(what|which|who|when|where|status|read|show|explain|rename|typo|note|list)\b|memory bank", "memory_fast"),
)  # fmt: skip
_KEYWORDS_DEFAULT: Role = "implementation"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure the routing of requests.")
    parser.add_argument("requests", type=Path)
    requests = [
        json.loads(line)
        for line in parser.parse_args().requests.read_text(encoding="utf-8").splitlines()
        if line.strip()
    ]
    print(json.dumps(measure(requests), ensure_ascii=False))


def measure(requests: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Decide every request with its embedding, then once more without for the time."""
    embedder = LocalEmbedder()
    embedder.wait_until_loaded()
    router = packaged_router()
    answers: list[Weighed] = []
    with_embedding_s: list[float] = []
    without_s: list[float] = []
    turns = [turn_of(request) for request in requests]
    for turn, held in turns:
        started = time.perf_counter()
        answers.append(decide(router, turn, held, embedder.embed_query(ends_of(turn.person_text))))
        with_embedding_s.append(time.perf_counter() - started)
    for turn, held in turns:
        started = time.perf_counter()
        decide(router, turn, held, None)
        without_s.append(time.perf_counter() - started)
    labels: list[Role] = [request["label"] for request in requests]
    roles: list[Role] = [answer.wish.role for answer in answers]
    return {
        "n": len(requests),
        "accuracy": accuracy(labels, roles),
        "macro_f1": macro_f1(labels, roles),
        "by_difficulty": accuracy_by([request["difficulty"] for request in requests], labels, roles),
        "by_lang": accuracy_by([request["lang"] for request in requests], labels, roles),
        "confusion": confusion(labels, roles),
        "ece": calibration_error(labels, [answer.wish for answer in answers]),
        "abstained": sum(answer.abstains for answer in answers),
        "decision_ms_p50": _percentile_ms(with_embedding_s, 50),
        "decision_ms_p95": _percentile_ms(with_embedding_s, 95),
        "decision_ms_p95_no_embedding": _percentile_ms(without_s, 95),
        "baselines": baselines([turn.person_text for turn, _ in turns], labels, embedder),
    }


def packaged_router() -> Router:
    """The router as shipped, for models that are all there."""
    models = load_settings(environment={}).models
    return Router(
        routing=models.routing,
        fallbacks={role: models.roles[role].fallbacks for role in ROLES},
        model_names={role: models.roles[role].model for role in ROLES},
        automatic_names=frozenset(),
        classifier=Classifier.load(),
    )


def decide(router: Router, turn: Turn, held: Held | None, vector: Sequence[float] | None) -> Weighed:
    """All steps of the router but the arbiter and the seconds, which are about models and not about words."""
    wish = router.wish(turn, {}, held)
    return router.weigh(turn, held, vector) if wish is None else Weighed(wish)


def turn_of(request: Mapping[str, Any]) -> tuple[Turn, Held | None]:
    """What the service would understand of a request, and what it would remember of the one before."""
    text, before = request["text"], request.get("prev_text") or ""
    # Tags are Cline's only under its system prompt, which the rows leave out.
    tagged = any(mark in text for mark in ("<environment_details>", "<task>", "<feedback>", "<user_message>"))
    messages: list[BaseMessage] = [SystemMessage(content="# Tool Use")] if tagged else []
    held, said_before = None, ""
    if request.get("prev_label"):
        messages += [HumanMessage(content=before), AIMessage(content="Done.")]
        held = Held(request["prev_label"], request["prev_label"])
        said_before = understand(messages, ()).person_text
    messages.append(HumanMessage(content=text))
    seen = understand(messages, ())
    turn = Turn(
        messages=tuple(messages),
        person_text=seen.person_text,
        person_index=seen.person_index,
        from_machine=seen.from_machine,
        mode=seen.mode,
        previous_text=said_before,
    )
    return turn, held


def baselines(texts: Sequence[str], labels: Sequence[Role], embedder: LocalEmbedder) -> dict[str, float]:
    """What simpler routers reach."""
    rows = read_rows()
    likeness = embedder.embed_array(list(texts)) @ embedder.embed_array([row.text for row in rows]).T
    nearest = [rows[int(place)].label for place in np.argmax(likeness, axis=1)]
    commonest: Role = Counter(row.label for row in rows).most_common(1)[0][0]
    return {
        "keywords": accuracy(labels, [by_keywords(text) for text in texts]),
        "nearest": accuracy(labels, nearest),
        "majority": accuracy(labels, [commonest] * len(labels)),
    }


def by_keywords(text: str) -> Role:
    """The first of `_KEYWORDS` that occurs."""
    return next((role for pattern, role in _KEYWORDS if re.search(pattern, text, re.IGNORECASE)), _KEYWORDS_DEFAULT)


def confusion(labels: Sequence[Role], roles: Sequence[Role]) -> dict[str, dict[str, int]]:
    """How often each label (outer) got each role (inner)."""
    counts = Counter(zip(labels, roles, strict=True))
    return {label: {role: counts[label, role] for role in ROLES} for label in ROLES}


def _percentile_ms(seconds: Sequence[float], percent: float) -> float:
    return round(float(np.percentile(np.array(seconds), percent)) * 1_000, 3)


if __name__ == "__main__":
    main()
