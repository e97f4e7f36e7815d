"""The Singer target: singer-sdk's surface around the pipeline."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, ClassVar, Final, NoReturn, cast

from singer_sdk import Target, metrics
from singer_sdk.exceptions import ConfigValidationError, StreamMapConfigError
from singer_sdk.helpers.capabilities import (
    FLATTENING_CONFIG,
    STREAM_MAPS_CONFIG,
    CapabilitiesEnum,
    PluginCapabilities,
    TargetCapabilities,
)
from singer_sdk.plugin_base import _ConfigInput

from target_amplemarket.config import Settings, check_environment, json_schema, read_settings
from target_amplemarket.errors import SettingsError, StorageError, TargetError
from target_amplemarket.singer.reader import BlockReader
from target_amplemarket.singer.stop import StopRequest

if TYPE_CHECKING:
    from target_amplemarket.results.summary import RunSummary
    from target_amplemarket.singer.messages import Expected, Message
    from target_amplemarket.singer.streams import Mapper

PACKAGE: Final = "target-amplemarket"
LOGGER: Final = logging.getLogger(PACKAGE)


class TargetAmplemarket(Target):
    """Brings leads from CRMs and warehouses into Amplemarket and Lance lead lists: nothing sent twice, nothing lost."""

    name = PACKAGE
    config_jsonschema: ClassVar[dict[str, Any]] = json_schema()
    message_reader_class = BlockReader
    capabilities: ClassVar[list[CapabilitiesEnum]] = [
        PluginCapabilities.ABOUT,
        PluginCapabilities.STREAM_MAPS,
        PluginCapabilities.FLATTENING,
        PluginCapabilities.STRUCTURED_LOGGING,
        PluginCapabilities.BATCH,
        TargetCapabilities.VALIDATE_RECORDS,
    ]

    def __init__(self, **arguments: Any) -> None:  # the SDK's own arguments, passed through
        self._reads_environment = bool(arguments.get("parse_env_config"))
        try:
            super().__init__(**arguments)
        except ValueError:  # what the SDK says of a number or of JSON in the environment repeats the value
            self._check_environment()
            raise
        reader = self.message_reader
        if not isinstance(reader, BlockReader):
            raise TypeError("the target reads its input through a BlockReader")
        reader.consume = self._consume

    @classmethod
    def append_builtin_config(cls, config_jsonschema: dict[str, Any]) -> None:
        """Add the SDK's settings that this target honours: stream maps and flattening."""
        for builtin in (STREAM_MAPS_CONFIG, FLATTENING_CONFIG):
            for name, schema in builtin["properties"].items():
                config_jsonschema["properties"].setdefault(name, schema)

    def _validate_config(self, *, raise_errors: bool = True) -> list[str]:
        """Check the settings in our own words: the SDK's repeat values, and a value may be a secret."""
        schema = self.config_jsonschema
        self.append_builtin_config(schema)
        self._check_environment()
        own = json_schema()["properties"]
        also_known = {name: kind for name, kind in schema["properties"].items() if name not in own}
        try:
            self.settings: Settings = read_settings(self._config, also_known=also_known)
        except SettingsError as error:
            if raise_errors:
                raise
            return [str(error)]
        return []

    def _check_environment(self) -> None:
        if self._reads_environment:
            check_environment(os.environ, self.config_jsonschema["properties"])

    def setup_mapper(self) -> None:
        """Stream maps that the SDK cannot take are a fault of the settings."""
        try:
            super().setup_mapper()
        except (StreamMapConfigError, ConfigValidationError) as error:
            raise SettingsError(f"settings: `stream_maps` cannot be used: {error}") from None

    def _setup_signal_handlers(self) -> None:
        """Signals are taken by the run itself: they set a flag that the reader sees."""

    @property
    def record_mapper(self) -> Mapper | None:
        """The SDK's mapper, where the settings ask for stream maps or flattening."""
        is_mapped = bool(self.config.get("stream_maps")) or bool(self.config.get("flattening_enabled"))
        return cast("Mapper", self.mapper) if is_mapped else None  # the SDK's own declares more

    def _consume(self, messages: Callable[[StopRequest, Expected], Iterator[Message]]) -> None:
        from target_amplemarket.runner import Input, execute  # what only a run needs does not slow `--about` down

        given = Input(messages, _emit, self.record_mapper)
        execute(self.settings, given, report=lambda summary: _report(summary, Path(self.settings.results_path)))

    def process_endofpipe(self) -> None:
        """Nothing is left to do: the run ends with its input."""

    def _process_schema_message(self, message_dict: dict[str, Any]) -> NoReturn:
        raise NotImplementedError

    _process_record_message = _process_schema_message
    _process_state_message = _process_schema_message
    _process_activate_version_message = _process_schema_message
    _process_batch_message = _process_schema_message

    @classmethod
    def invoke(  # type: ignore[override]  # the SDK's own signature of targets
        cls,
        *,
        about: bool = False,
        about_format: str | None = None,
        config: _ConfigInput | None = None,
        file_input: IO[str] | None = None,
        dry_run: bool = False,
    ) -> None:
        """Run the target and end the process with the exit code that its documentation gives."""
        if about:
            cls.print_about(about_format)
            return
        cls.print_version(print_fn=LOGGER.info)
        config = config or _ConfigInput()
        try:
            target = cls(config=config.config, parse_env_config=config.parse_env)
            if dry_run:  # the word of the command line, whatever file and environment say
                target.settings = dataclasses.replace(target.settings, dry_run=True)
            target.listen(file_input)
        except TargetError as error:
            LOGGER.error("%s", error)  # noqa: TRY400  # a traceback would say nothing more
            sys.exit(error.exit_code)


def _emit(value: bytes) -> None:
    """Write a STATE value as one line of standard output."""
    try:
        sys.stdout.write(value.decode() + "\n")
        sys.stdout.flush()
    except OSError:
        _discard_stdout()
        raise StorageError("standard output is closed, so STATE cannot leave; run again with a reader") from None


def _discard_stdout() -> None:
    """What is left in its buffer is tried again when the process ends, and would change the exit code."""
    with contextlib.suppress(OSError, ValueError):  # in place of a descriptor, something that tests put there
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _report(summary: RunSummary, folder: Path) -> None:
    from target_amplemarket.results.summary import summary_lines

    for line in summary_lines(summary, folder):
        LOGGER.info("%s", line)
    metrics_logger = metrics.get_metrics_logger()
    for stream, counts in summary.streams.items():
        tags = {"stream": stream}
        metrics.log(metrics_logger, metrics.Point("counter", metrics.Metric.RECORD_COUNT, counts["records"], tags))
        for status, count in counts["statuses"].items():
            tagged = {**tags, "status": status}
            metrics.log(metrics_logger, metrics.Point("counter", metrics.Metric.RECORD_COUNT, count, tagged))
    for call, count in summary.requests.items():
        metrics.log(metrics_logger, metrics.Point("counter", metrics.Metric.HTTP_REQUEST_COUNT, count, {"call": call}))
    metrics.log(metrics_logger, metrics.Point("timer", metrics.Metric.SYNC_DURATION, summary.duration_s, {}))
