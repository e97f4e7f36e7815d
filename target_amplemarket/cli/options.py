"""What commands ask alike: settings, results folder, format, which records."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click
from singer_sdk.plugin_base import _ConfigInput

from target_amplemarket.config import ENVIRONMENT_PREFIX, KEY_SETTINGS, Settings
from target_amplemarket.target import TargetAmplemarket

Command = Callable[..., None]
"""A function that becomes a command: click calls it with its options by name."""

DRY_RUN_HELP: Final = "Plan only: nothing is sent, rows are `planned`, no STATE leaves (as the setting dry_run)."


@dataclass(frozen=True, slots=True)
class Setup:
    """What `--config` and `--results-path` say."""

    values: dict[str, Any]
    """Of the settings files, the later before the earlier."""
    parse_env: bool
    results_path: Path | None = None

    @property
    def folder(self) -> Path:
        """The results folder, there or not."""
        if self.results_path is not None:
            return self.results_path
        named = os.environ.get(f"{ENVIRONMENT_PREFIX}RESULTS_PATH") if self.parse_env else None
        return Path(named or self.values.get("results_path", "amplemarket-results"))

    def target(self, *, setup_mapper: bool = True) -> TargetAmplemarket:
        """The target with these settings.

        Raises:
            SettingsError: a setting is missing or is not as it is declared
        """
        return TargetAmplemarket(config=self.values, parse_env_config=self.parse_env, setup_mapper=setup_mapper)

    def settings(self) -> Settings:
        """Settings for what asks the API; raises as `target` does."""
        settings = self.target(setup_mapper=False).settings
        if self.results_path is None:
            return settings
        return dataclasses.replace(settings, results_path=str(self.results_path))

    def settings_without_account(self) -> Settings:
        """Settings for what asks no API, so without a key and an owner if need be."""
        stand_ins = {"owner": "none"} if self._has_key else {"owner": "none", "api_key": "none"}
        return dataclasses.replace(self, values=stand_ins | self.values).settings()

    @property
    def _has_key(self) -> bool:
        in_environment = self.parse_env and any(
            f"{ENVIRONMENT_PREFIX}{name.upper()}" in os.environ for name in KEY_SETTINGS
        )
        return in_environment or any(name in self.values for name in KEY_SETTINGS)


def read_config(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> _ConfigInput:  # noqa: ARG001
    """Read the settings files that `--config` names; the word ENV means the environment."""
    try:
        return _ConfigInput.from_cli_args(*value)
    except OSError as error:
        raise click.BadParameter(error.strerror or "there is no such file") from None
    except (ValueError, TypeError):
        raise click.BadParameter("a settings file is one JSON object; this one is not") from None


def config_option(command: Command) -> Command:
    """`--config`; the command gets a `Setup`."""

    @functools.wraps(command)
    def with_setup(*, config: _ConfigInput, results_path: Path | None = None, **options: Any) -> None:
        command(setup=Setup(config.config, config.parse_env, results_path), **options)

    return click.option("--config", multiple=True, callback=read_config, help="The target's settings file, or ENV.")(
        with_setup
    )


def folder_options(command: Command) -> Command:
    """`--results-path`, or the settings file that names it; the command gets a `Setup`."""
    path = click.Path(file_okay=False, path_type=Path)
    return config_option(click.option("--results-path", type=path, help="The results folder.")(command))


def format_option(command: Command) -> Command:
    """`--format`, for people or for programs."""
    return click.option("--format", "output", type=click.Choice(["table", "json"]), default="table", show_default=True)(
        command
    )


def record_options(command: Command) -> Command:
    """Which of the records that a results folder keeps: `--reason`, `--stream`."""
    command = click.option("--stream", "streams", multiple=True, help="Only records of this stream; may be repeated.")(
        command
    )
    return click.option("--reason", "reasons", multiple=True, help="Only records with this reason; may be repeated.")(
        command
    )
