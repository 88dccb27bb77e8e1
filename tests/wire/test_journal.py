"""One line a request, which says everything but what was said."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from chains.decision import RouteDecision
from chains.events import Finished, Routed, TextDelta, Timings, ToolCallMade, Usage
from chains.ledger import Ledger
from wire.journal import RequestJournal

LEDGER = Ledger(window=1000, system=1, tools=2, history=3, answer=4, memory=5, left_out=("x",))


def routed(reason: str = "why", conversation: str = "c1") -> Routed:
    decision = RouteDecision("implementation", "qwen2.5-coder:32b", reason, "implementation")
    return Routed(decision, LEDGER, conversation, ("memory-bank/a.md#B",), "a note")


def line_of(journal: RequestJournal, outcome: str = "ok") -> dict[str, Any]:
    with capture_logs() as lines:
        journal.close(outcome)
        journal.close("again")
    (line,) = lines
    return dict(line)


def test_the_line_holds_the_facts() -> None:
    journal = RequestJournal("r1", dialect="cline_sdk", stream=True)
    journal.saw(routed())
    journal.saw(TextDelta("hello"))
    journal.saw(Finished("stop", Usage(11, 3, 7), Timings(1.0, 2.0, 3.0)))
    line = line_of(journal)
    assert line["event"] == "request"
    assert (line["id"], line["outcome"], line["finish"]) == ("r1", "ok", "stop")
    assert (line["dialect"], line["stream"], line["conversation"]) == ("cline_sdk", True, "c1")
    assert (line["role"], line["model"], line["why"]) == ("implementation", "qwen2.5-coder:32b", "why")
    assert (line["prompt_tokens"], line["answer_tokens"], line["cached_tokens"]) == (11, 3, 7)
    assert (line["load_s"], line["prefill_s"], line["answer_s"]) == (1.0, 2.0, 3.0)
    assert line["context"] == "window=1000; system=1; tools=2; history=3; memory=5; left_out=1; answer=4; margin=0"
    assert line["first_token_s"] <= line["total_s"]
    assert (line["passages"], line["memory_note"]) == (1, "a note")


def test_nothing_that_was_said_stands_in_it() -> None:
    journal = RequestJournal("r1")
    journal.saw(routed())
    journal.saw(TextDelta("a secret"))
    journal.saw(ToolCallMade(0, "call_a", "f", '{"x": "a secret"}'))
    line = line_of(journal, "upstream_broken")
    assert "secret" not in repr(line)
    assert line["outcome"] == "upstream_broken"


def test_a_request_that_was_refused_has_a_line_too() -> None:
    line = line_of(RequestJournal("r1"), "invalid_request")
    assert {"id", "outcome", "dialect", "stream", "total_s"} <= line.keys()
    assert "role" not in line


@given(st.text(), st.text())
def test_headers_are_printable_ascii(reason: str, conversation: str) -> None:
    journal = RequestJournal("r1")
    assert journal.headers() == {"x-request-id": "r1"}
    journal.saw(routed(reason, conversation))
    headers = journal.headers()
    assert headers["x-router-context"] == LEDGER.header()
    for name, value in headers.items():
        assert all(" " <= char <= "~" for char in value), name
        assert len(value) <= 200


def test_watchers_see_a_closed_journal_once() -> None:
    seen: list[str] = []
    journal = RequestJournal("r1", watchers=(lambda closed: seen.append(f"{closed.request_id} {closed.outcome}"),))
    line_of(journal, "client_gone")
    assert seen == ["r1 client_gone"]
