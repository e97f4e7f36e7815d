"""The program as click sees it: the bare target, and which module has which command."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any, Final

import click

from target_amplemarket.cli import start_up
from target_amplemarket.cli.options import DRY_RUN_HELP, read_config
from target_amplemarket.errors import TargetError
from target_amplemarket.target import TargetAmplemarket

_MODULES: Final = {
    "runs": ("check", "push", "replay"),
    "lists": ("collect", "reconcile", "resolve"),
    "rows": ("explain", "results"),
    "history": ("report", "state", "status"),
    "people": ("audit", "forget", "purge"),
    "sandbox": ("demo", "sandbox"),
}
_MODULE_OF: Final = {command: module for module, commands in _MODULES.items() for command in commands}


class _Cli(click.Group):
    """Commands beside the Singer target, and the one place where errors become exit codes.

    A command is imported when it is asked for: the target itself starts without any.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's own signature
        return sorted(_MODULE_OF)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        names = [cmd_name] if cmd_name in _MODULE_OF else self.list_commands(ctx)  # of all, click proposes the nearest
        with start_up():
            for name in names:
                self.add_command(getattr(import_module(f"{__package__}.{_MODULE_OF[name]}"), name))
        return super().get_command(ctx, cmd_name)

    def invoke(self, ctx: click.Context) -> Any:  # click's own signature
        try:
            return super().invoke(ctx)
        except TargetError as error:
            click.echo(f"{TargetAmplemarket.name}: {error}", err=True)
            sys.exit(error.exit_code)


def make_cli() -> click.Group:
    """The program as click sees it; singer-sdk's own options stand on the bare command."""
    singer: click.Command = TargetAmplemarket.cli  # also sets logging up
    for option in singer.params:
        if option.name == "config":
            option.callback = read_config
    return _Cli(
        name=TargetAmplemarket.name,
        invoke_without_command=True,
        params=[*singer.params, click.Option(["--dry-run"], is_flag=True, help=DRY_RUN_HELP)],
        callback=_run_singer,
        help=(
            "Singer target that brings leads into Amplemarket and Lance lead lists. Without a command it reads Singer "
            "messages from standard input."
        ),
    )


def _run_singer(**options: Any) -> None:  # the SDK's own options
    if click.get_current_context().invoked_subcommand is None:
        if not options["about"]:
            with start_up():
                import_module("target_amplemarket.runner")
        TargetAmplemarket.invoke(**options)
