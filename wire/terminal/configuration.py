"""`config show` and `config check`."""

from __future__ import annotations

import typer
import yaml
from rich.console import Console
from rich.syntax import Syntax

from wire.terminal.parts import AsJson, Parts, print_json, told


def configuration_commands(parts: Parts) -> typer.Typer:
    """The commands below `config`."""
    commands = typer.Typer(help="The configuration as it is in force.", no_args_is_help=True)

    @commands.command()
    def show(as_json: AsJson = False) -> None:
        """Print every setting: files, `.env` and environment merged; keys are not shown."""
        with told():
            settings = parts.load_settings().model_dump(mode="json")
        if as_json:
            print_json(settings)
            return
        text = yaml.safe_dump(settings, sort_keys=False, allow_unicode=True, width=100)
        Console(soft_wrap=True).print(Syntax(text, "yaml", background_color="default"))

    @commands.command()
    def check() -> None:
        """Say whether files and variables are well-formed; exit code 2 and one line for each mistake where not."""
        with told():
            parts.load_settings()
        Console().print("Files and variables are well-formed.")

    return commands
