"""`python server.py`: serve, or look at one part by hand."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer
from langchain_core.messages import HumanMessage
from rich.console import Console
from rich.status import Status

from chains.decision import RouteDecision
from chains.ledger import Ledger
from chains.turn import Turn
from config.schema import Mode
from graphs.session_list import Conversation, latest_conversations
from retrievers.loading import loading_ended
from wire.route import explain, explanation
from wire.terminal.configuration import configuration_commands
from wire.terminal.doctor import add_doctor
from wire.terminal.memory import memory_commands
from wire.terminal.parts import AsJson, Parts, Workspace, folder_of, print_json, told
from wire.terminal.shown import conversations_table, decision_shown


def build_terminal(parts: Parts) -> typer.Typer:
    """All commands over these parts; without a command the service is started."""
    terminal = typer.Typer(
        help="One OpenAI-compatible model in front of three local ones, with the project's memory bank.",
        no_args_is_help=False,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    @terminal.callback(invoke_without_command=True)
    def by_default(
        context: typer.Context,
        version: Annotated[bool, typer.Option("--version", "-V", help="Print the version and end.")] = False,
    ) -> None:
        if version:
            typer.echo(f"cline-memory-router {parts.version}")
            raise typer.Exit
        if context.invoked_subcommand is None:
            run()

    @terminal.command()
    def run() -> None:
        """Start the service (the same as no command); Ctrl-C ends it in good order."""
        with told():
            parts.serve(parts.load_settings())

    @terminal.command()
    def route(
        text: Annotated[str, typer.Argument(help="What a person would type.")],
        workspace: Workspace = None,
        mode: Annotated[Mode, typer.Option(help="The agent's mode.")] = "none",
        model: Annotated[str, typer.Option(help="A role or model to ask for.")] = "",
        as_json: AsJson = False,
    ) -> None:
        """Show who would answer a request, and why; no model is asked."""
        message = HumanMessage(text)
        turn = Turn.of_messages([message], model=model, workspace=folder_of(workspace), mode=mode)
        with told():
            decision, ledger = asyncio.run(_explained(parts, turn))
        if as_json:
            print_json(explanation(decision, ledger))
        else:
            Console().print(decision_shown(decision, ledger))

    @terminal.command()
    def sessions(
        most: Annotated[int, typer.Option("--most", min=1, max=1000, help="At most so many.")] = 20,
        as_json: AsJson = False,
    ) -> None:
        """List the conversations that are remembered, the newest first."""
        with told():
            latest = asyncio.run(_latest(parts, most))
        if as_json:
            print_json(latest)
        elif latest:
            Console().print(conversations_table(latest))
        else:
            Console().print("No conversation is remembered yet.")

    add_doctor(terminal, parts)
    terminal.add_typer(memory_commands(parts), name="memory")
    terminal.add_typer(configuration_commands(parts), name="config")
    return terminal


async def _explained(parts: Parts, turn: Turn) -> tuple[RouteDecision, Ledger]:
    settings = parts.settings_for_command()
    with Status("Looking for models and loading the embedder", console=Console(stderr=True)):
        async with parts.open_router(settings) as service:
            await loading_ended(service.embedder)  # the running service decides with it
            return await explain(turn, service)


async def _latest(parts: Parts, most: int) -> list[Conversation]:
    async with parts.open_sessions(parts.settings_for_command()) as sessions:
        return await latest_conversations(sessions, most)
