"""The loads: what is asked, how it is answered, by how many at once. Their names are `kind/answer/clients`."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatch

KINDS = ("short", "person_turn", "tool_turn", "history_400k")
FEW, MANY = 21, 1_000
PACE_MS = 2.0
CLIENTS = (1, 4, 32)
LEAST_REQUESTS = 8


@dataclass(frozen=True, slots=True)
class Delivery:
    """How the model answers: in so many pieces, with so long before each; `stream` is what the client asks for."""

    chunks: int
    pace_ms: float = 0.0
    stream: bool = True


ANSWERS = (f"stream_{FEW}", f"stream_{MANY}", f"paced_{FEW}", f"paced_{MANY}", "whole")
# What the table of targets needs, and every kind of request, answer and number of clients once.
USUAL = ("*/stream_21/1", "tool_turn/stream_21/*", "short/stream_21/32", "tool_turn/*/1", "short/whole/1")


@dataclass(frozen=True, slots=True)
class Load:
    """One load."""

    kind: str
    answer: str
    clients: int

    @property
    def name(self) -> str:
        """As in the report."""
        return f"{self.kind}/{self.answer}/{self.clients}"

    @property
    def delivery(self) -> Delivery:
        """How the model answers; any number of pieces may stand in the name."""
        way, _, chunks = self.answer.partition("_")
        if way == "whole":
            return Delivery(FEW, stream=False)
        return Delivery(int(chunks), PACE_MS if way == "paced" else 0.0)

    @property
    def least_requests(self) -> int:
        """How many make one round; a few of the long ones tell as much as many short ones."""
        return max(self.clients, LEAST_REQUESTS if self.delivery.chunks == FEW else 1)

    @property
    def shorter(self) -> str | None:
        """The load that is the same but for its fewer pieces."""
        if self.delivery.chunks == FEW:
            return None
        return f"{self.kind}/{self.answer.replace(str(MANY), str(FEW))}/{self.clients}"


def chosen(patterns: tuple[str, ...], clients: tuple[int, ...] = CLIENTS) -> list[Load]:
    """The loads whose names match any of the patterns; where there are none, it is an error that lists them."""
    loads = [Load(kind, answer, number) for kind in KINDS for answer in ANSWERS for number in clients]
    taken = [load for load in loads if any(fnmatch(load.name, pattern) for pattern in patterns)]
    if not taken:
        raise SystemExit("No load has such a name; there are:\n" + "\n".join(load.name for load in loads))
    return taken
