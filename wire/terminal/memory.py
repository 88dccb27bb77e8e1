"""`memory status`, `memory search` and `memory index`: a project's memory bank from the terminal."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from config.errors import BadRequest, Forbidden, MemoryDisabled, MemoryUnavailable
from retrievers.loading import loading_ended
from retrievers.memory import MemoryService
from retrievers.report import BankReport
from retrievers.types import BankStatus
from wire.memory import check_found
from wire.memory_replies import SearchReply, search_reply, status_reply
from wire.terminal.parts import AsJson, Parts, Workspace, folder_of, print_json, told
from wire.terminal.shown import bank_table, passages_shown

PROGRESS_STEP_S = 0.1
OPENING_S = 2.0


def memory_commands(parts: Parts) -> typer.Typer:
    """The commands below `memory`."""
    commands = typer.Typer(help="A project's memory bank: what is in it and what it answers.", no_args_is_help=True)

    @commands.command()
    def status(workspace: Workspace = None, as_json: AsJson = False) -> None:
        """Show the bank's files, how old they are, and whether the bank is stale."""
        with told():
            report = asyncio.run(_report(parts, folder_of(workspace)))
        reply = status_reply(report)
        print_json(reply.model_dump(mode="json")) if as_json else Console().print(bank_table(reply))

    @commands.command()
    def search(
        question: Annotated[str, typer.Argument(help="What to look for.")],
        workspace: Workspace = None,
        most: Annotated[int, typer.Option("--most", min=1, max=50, help="At most so many passages.")] = 5,
        as_json: AsJson = False,
    ) -> None:
        """Show the passages that answer a question best; indexes the bank first where that is due."""
        with told():
            reply = asyncio.run(_search(parts, folder_of(workspace), question, most))
        print_json(reply.model_dump(mode="json")) if as_json else Console().print(passages_shown(reply))

    @commands.command()
    def index(workspace: Workspace = None, as_json: AsJson = False) -> None:
        """Make the vectors of what is new or changed in the bank."""
        with told():
            bank = asyncio.run(_index(parts, folder_of(workspace)))
        if as_json:
            print_json({"root": str(bank.root), "chunks": bank.chunks, "vectors": bank.vectors})
        else:
            Console(soft_wrap=True).print(f"{bank.root}: {bank.vectors} of {bank.chunks} passages have vectors.")

    return commands


async def _report(parts: Parts, workspace: Path) -> BankReport:
    async with _memory(parts) as memory:
        await _found(memory, workspace)
        # What is indexed is known once the index was opened; one that has to be made is not waited for.
        await asyncio.to_thread(memory.wait_indexed, OPENING_S)
        return await memory.report(workspace)


async def _search(parts: Parts, workspace: Path, question: str, most: int) -> SearchReply:
    if not question.strip():
        raise BadRequest("The question is empty: say what to look for.")
    async with _memory(parts) as memory:
        status = await _indexed(memory, workspace)
        return search_reply(status, await memory.search(workspace, question, most), most)


async def _index(parts: Parts, workspace: Path) -> BankStatus:
    async with _memory(parts) as memory:
        status = await _indexed(memory, workspace)
    if status.note or status.embedder == "failed":
        raise MemoryUnavailable(status.note or "The embedder cannot be loaded: `server.py doctor` says why.")
    return status


@asynccontextmanager
async def _memory(parts: Parts) -> AsyncIterator[MemoryService]:
    settings = parts.settings_for_command()
    if not settings.memory.enabled:
        raise MemoryDisabled("Memory is switched off: set memory.enabled to true in server_config.yaml.")
    async with parts.open_memory(settings) as memory:
        yield memory


async def _found(memory: MemoryService, workspace: Path) -> BankStatus:
    if (refusal := await memory.refusal(workspace)) is not None:
        raise Forbidden(refusal)
    status = await memory.status(workspace)
    await check_found(memory, status)
    return status


async def _indexed(memory: MemoryService, workspace: Path) -> BankStatus:
    """The bank's status once its vectors are made, with a bar meanwhile; Ctrl-C keeps what was done."""
    status = await _found(memory, workspace)
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("Loading the embedder", total=status.chunks or None)
        while not await asyncio.to_thread(memory.wait_indexed, PROGRESS_STEP_S):
            status = await memory.status(workspace)
            says = "Loading the embedder" if status.embedder == "loading" else "Making vectors"
            progress.update(task, description=says, total=status.chunks or None, completed=status.vectors)
    if memory.embedder is not None:
        await loading_ended(memory.embedder)  # else words alone would rank
    return await memory.status(workspace)
