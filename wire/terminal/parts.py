"""What the composition root hands to the terminal's commands, and how a command ends that cannot do what was asked."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console

from config.errors import BadRequest, ConfigError, RouterError
from config.settings import LoggingSettings, Settings
from graphs.sessions import Sessions
from retrievers.memory import MemoryService
from wire.logs import set_up_logging
from wire.service import RouterService

EXIT_FAILED = 1
EXIT_USAGE = 2

Workspace = Annotated[
    Path | None,
    typer.Option(
        "--workspace",
        "-w",
        exists=True,
        file_okay=False,
        help="The project's folder; the working directory if left out.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON value, for scripts.")]


@dataclass(frozen=True, slots=True)
class Parts:
    """How the commands come by what they need; nothing is opened before a command asks for it."""

    version: str
    load_settings: Callable[[], Settings]
    serve: Callable[[Settings], None]
    open_router: Callable[[Settings], AbstractAsyncContextManager[RouterService]]
    open_memory: Callable[[Settings], AbstractAsyncContextManager[MemoryService]]
    open_sessions: Callable[[Settings], AbstractAsyncContextManager[Sessions]]

    def settings_for_command(self) -> Settings:
        """The settings, with logging kept to what a person at a terminal has to know."""
        settings = self.load_settings()
        set_up_logging(LoggingSettings(level="error", format=settings.logging.format))
        return settings


@contextmanager
def told() -> Iterator[None]:
    """Errors of ours as one sentence on standard error: exit code 2 where what was typed or configured is wrong."""
    try:
        yield
    except RouterError as error:
        Console(stderr=True, soft_wrap=True, highlight=False, markup=False).print(error.message)
        wrong = isinstance(error, ConfigError | BadRequest)
        raise typer.Exit(EXIT_USAGE if wrong else EXIT_FAILED) from None


def folder_of(workspace: Path | None) -> Path:
    """The workspace as an absolute path."""
    return (workspace or Path.cwd()).absolute()


def print_json(value: Any) -> None:
    """One JSON value on standard output."""
    sys.stdout.buffer.write(orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    sys.stdout.buffer.flush()
