"""How the terminal shows a decision, a memory bank, and conversations."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from chains.decision import Considered, RouteDecision
from chains.ledger import Ledger
from graphs.session_list import Conversation
from wire.ages import age
from wire.memory_replies import FileReply, PassageReply, SearchReply, StatusReply

BAR_CELLS = 60
_PARTS = (("system", "blue"), ("tools", "cyan"), ("history", "green"), ("memory", "magenta"), ("answer", "yellow"))


def decision_shown(decision: RouteDecision, ledger: Ledger) -> RenderableType:
    """Who answers and why, each candidate, and what the window would hold."""
    told = Table.grid(padding=(0, 2))
    told.add_row("role", Text(decision.role, style="bold green"))
    told.add_row("model", Text(decision.model))
    told.add_row("why", Text(decision.reason))
    told.add_row("decided by", Text(f"{decision.step} (confidence {decision.confidence:.2f})"))
    if decision.evidence:
        told.add_row("evidence", Text(", ".join(decision.evidence)))
    candidates = Table("role", "model", "fit", "first token", "", box=None, padding=(0, 2, 0, 0))
    for candidate in decision.candidates:
        candidates.add_row(*_candidate_row(candidate))
    return Group(told, Text(), candidates, Text(), _window_bar(ledger), _window_legend(ledger))


def bank_table(reply: StatusReply) -> RenderableType:
    """The bank's files, and whether it is stale."""
    bank, staleness = reply.bank, reply.staleness
    files = Table(box=None, padding=(0, 2, 0, 0))
    files.add_column("file", overflow="fold")
    for name in ("bytes", "changed", "passages", "gone paths"):
        files.add_column(name, no_wrap=True)
    for file in reply.files:
        files.add_row(*_file_row(file))
    vectors = "all passages have vectors" if bank.vectors_ready else f"{bank.vectors} of {bank.chunks} have vectors"
    lines = [
        Text(f"{bank.root}: {bank.files} files, {bank.size_bytes} bytes, {bank.chunks} passages; {vectors}"),
        Text(staleness.reason, style="green" if staleness.verdict == "fresh" else "yellow"),
        *(Text(note, style="yellow") for note in (bank.note, *bank.left_out) if note),
    ]
    return Group(*lines, Text(), files)


def passages_shown(reply: SearchReply) -> RenderableType:
    """The passages, best first, each under where it stands."""
    ranked = "by words and vectors" if reply.used_vectors else "by words alone"
    count = len(reply.passages)
    head = Text(f"{count} {'passage' if count == 1 else 'passages'}, {ranked}", style="dim")
    notes = (Text(reply.note, style="yellow"),) if reply.note else ()
    return Group(head, *notes, *(part for passage in reply.passages for part in _passage(passage)))


def conversations_table(latest: Sequence[Conversation]) -> RenderableType:
    """One line a conversation."""
    now = datetime.now(UTC)
    table = Table("last used", "conversation", "mode", "role", "tokens", "why", box=None, padding=(0, 2, 0, 0))
    for each in latest:
        ago = age((now - each.at.astimezone(UTC)).total_seconds())
        cells = (f"{ago} ago", each.conversation, each.mode, each.role, str(each.prompt_tokens), each.reason)
        table.add_row(*map(escape, cells))
    return table


def _candidate_row(candidate: Considered) -> tuple[Text, ...]:
    style = "dim" if candidate.ruled_out else ""
    fit = "" if candidate.fit is None else f"{candidate.fit:.2f}"
    seconds = "" if candidate.expected is None else f"{candidate.expected.total_s:.1f} s"
    cells = (candidate.role, candidate.model, fit, seconds, candidate.reason)
    return tuple(Text(cell, style=style) for cell in cells)


def _file_row(file: FileReply) -> tuple[str, ...]:
    name = f"{file.name} (archived)" if file.archived else file.name
    return (
        escape(name),
        f"{file.size_bytes}",
        f"{age(file.age_s)} ago",
        str(file.chunks),
        str(file.missing_count or ""),
    )


def _passage(passage: PassageReply) -> tuple[RenderableType, ...]:
    where = f"{passage.source}:{passage.start_line}-{passage.end_line}"
    heading = f"  {passage.heading}" if passage.heading else ""
    score = "" if passage.score is None else f"  similarity {passage.score:.2f}"
    return (
        Text(f"{where}{heading}{score}", style="bold"),
        Padding(Text(passage.text.strip()), (0, 0, 1, 2)),
    )


def _tokens_by_part(ledger: Ledger) -> list[tuple[str, str, int]]:
    return [(name, style, int(getattr(ledger, name))) for name, style in _PARTS]


def _window_bar(ledger: Ledger) -> Text:
    """The window as a bar; a part that is there gets a cell at least."""
    bar = Text()
    for _, style, tokens in _tokens_by_part(ledger):
        cells = max(1, round(BAR_CELLS * tokens / ledger.window)) if tokens > 0 else 0
        bar.append("█" * cells, style=style)
    bar.append("░" * max(0, BAR_CELLS - len(bar)), style="dim")
    return bar


def _window_legend(ledger: Ledger) -> Text:
    legend = Text(f"{ledger.prompt} of {ledger.window} tokens: ")
    named = [(f"{name} {tokens}", style) for name, style, tokens in _tokens_by_part(ledger) if tokens > 0]
    return legend.append_text(Text(", ").join(Text(words, style=style) for words, style in named))
