"""`GET /metrics` in Prometheus' format: counters and durations from the journals of requests, gauges as of now."""

from __future__ import annotations

import asyncio
import time

from fastapi import APIRouter, Request, Response
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from starlette.responses import PlainTextResponse

from backends.breaker import STATES
from chains.events import Finished
from chains.seconds import LEAST_LEARNED_LOAD_S
from config.schema import ROLES
from wire.journal import RequestJournal
from wire.service import RouterService, service_of

PREFIX = "router"
# From what a resident small model takes to what a cold large one does.
SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 7200)

routes = APIRouter()


class Metrics:
    """The instruments of one application, in a registry of their own. `watch` is a watcher of journals."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = self._counter(
            "requests", "Requests for an answer, by who answered and how they ended.", "role", "outcome"
        )
        self._tokens = self._counter(
            "tokens", "Tokens, by what they are part of; system to memory are our estimate.", "role", "part"
        )
        self._switches = self._counter("model_switches", "Answers that a model had to be loaded for.", "model")
        self._repairs = self._counter("repairs", "What of answers was mended.", "kind")
        self._fallbacks = self._counter("fallbacks", "Answers of a role that stood in for another.", "wanted", "role")
        self._retries = self._counter("retries", "Calls that were made anew, by what they failed of.", "error")
        self._queued = self._seconds("queue", "Waiting for the model's other calls.")
        self._load = self._seconds("load", "Loading the model, where it had to be.")
        self._prefill = self._seconds("prefill", "Reading the prompt.")
        self._first_token = self._seconds("first_token", "From the request to the first token.")
        self._answer = self._seconds("answer", "Writing the answer.")
        self._total = self._seconds("request", "All of a request.")
        self._cached = Histogram(
            f"{PREFIX}_cached_share",
            "Share of a prompt that the model had in its cache, where it tells.",
            ("role",),
            registry=self._registry,
            buckets=(0, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1),
        )
        self._waiting = self._gauge("queue_length", "Calls that wait for a model.", "model")
        self._breakers = self._gauge("breaker_state", "1 for the state that a model's breaker is in.", "model", "state")
        self._tasks = self._gauge("running_tasks", "Tasks of the event loop; at rest always as many.")
        self._index_age = self._gauge(
            "index_age_seconds", "Since a memory bank's vectors were brought in line.", "bank"
        )
        # A series that comes with its first event hides that one from rates.
        for role in ROLES:
            self._requests.labels(role, "ok")
            for durations in (self._queued, self._load, self._prefill, self._first_token, self._answer, self._total):
                durations.labels(role)

    def watch(self, journal: RequestJournal) -> None:
        """Count a request that has ended."""
        routed = journal.routed
        decision = routed.decision if routed else None
        role = decision.role if decision else "none"
        self._requests.labels(role, journal.outcome).inc()
        self._total.labels(role).observe(time.perf_counter() - journal.started)
        for error in journal.retries:
            self._retries.labels(error).inc()
        if routed is None or decision is None:
            return
        if decision.fallback:
            self._fallbacks.labels(decision.wanted, role).inc()
        if journal.queued_s is not None:
            self._queued.labels(role).observe(journal.queued_s)
        if journal.first_token_s is not None:
            self._first_token.labels(role).observe(journal.first_token_s)
        for part in ("system", "tools", "history", "memory"):
            self._tokens.labels(role, part).inc(getattr(routed.ledger, part))
        if journal.finished:
            self._finished(journal.finished, role, decision.model)

    def _finished(self, finished: Finished, role: str, model: str) -> None:
        for kind in finished.repairs:
            self._repairs.labels(kind).inc()
        if timings := finished.timings:
            self._prefill.labels(role).observe(timings.prefill_s)
            self._answer.labels(role).observe(timings.answer_s)
            if timings.load_s >= LEAST_LEARNED_LOAD_S:
                self._load.labels(role).observe(timings.load_s)
                self._switches.labels(model).inc()
        if usage := finished.usage:
            self._tokens.labels(role, "prompt").inc(usage.prompt_tokens)
            self._tokens.labels(role, "answer").inc(usage.answer_tokens)
            if usage.cached_tokens is not None and usage.prompt_tokens:
                self._tokens.labels(role, "cached").inc(usage.cached_tokens)
                self._cached.labels(role).observe(min(1.0, usage.cached_tokens / usage.prompt_tokens))

    def render(self, service: RouterService) -> bytes:
        """All of it as text, with what is true now looked up now."""
        waiting, breakers = service.models.waiting_calls, service.models.breakers
        self._waiting.clear()
        self._breakers.clear()
        for model in {card.name for card in service.models.status.models.values()} | waiting.keys() | breakers.keys():
            self._switches.labels(model)
            self._waiting.labels(model).set(waiting.get(model, 0))
            now = breakers[model].state if model in breakers else "closed"
            for state in STATES:
                self._breakers.labels(model, state).set(now == state)
        self._tasks.set(len(asyncio.all_tasks()))
        self._index_age.clear()
        for index in service.memory.indexes():
            if index.built_at is not None:
                self._index_age.labels(str(index.root)).set(max(0.0, time.time() - index.built_at))
        return generate_latest(self._registry)

    def _counter(self, name: str, help_text: str, *labels: str) -> Counter:
        return Counter(f"{PREFIX}_{name}", help_text, labels, registry=self._registry)

    def _gauge(self, name: str, help_text: str, *labels: str) -> Gauge:
        return Gauge(f"{PREFIX}_{name}", help_text, labels, registry=self._registry)

    def _seconds(self, name: str, help_text: str) -> Histogram:
        return Histogram(f"{PREFIX}_{name}_seconds", help_text, ("role",), registry=self._registry, buckets=SECONDS)


@routes.get("/metrics", response_class=PlainTextResponse)
async def metrics(request: Request) -> Response:
    """For a Prometheus to scrape."""
    service = service_of(request)
    measured: Metrics = request.app.state.metrics
    return Response(measured.render(service), media_type=CONTENT_TYPE_PLAIN_0_0_4)
