"""The bearer key: from the settings, a file or a command, and from there again once it is no longer accepted.

Keys that are session tokens end after minutes or hours (Lance's are, as far as is known; how long they last is *not
documented*). A program that is asked for a new one, or a file that another program keeps fresh, lets a run go on.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shlex
import signal
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO, Final

from target_amplemarket.config import Settings
from target_amplemarket.errors import SettingsError

COMMAND_TIMEOUT_S: Final = 30.0

# Signed session tokens take a kilobyte or two; servers commonly refuse headers beyond 8 KiB.
_KEY: Final = re.compile(r"[!-~]{1,4096}")
_SOURCE_LIMIT_BYTES: Final = 64 * 1024

_log = logging.getLogger(__name__)


class Credentials:
    """A bearer key that may be renewed; safe to use from several threads.

    The key appears in no log, exception or representation.

    Args:
        setting: Name of the setting that it comes from, for messages.
        read: Reads it from there; may raise `SettingsError`, in words that do not repeat it.
        is_renewable: Whether reading it again may give another.

    Raises:
        SettingsError: There is no usable key; the message names the setting, never a value.
    """

    def __init__(self, setting: str, read: Callable[[], str], *, is_renewable: bool) -> None:
        self.setting = setting
        self._read = read
        self._is_renewable = is_renewable
        self._renewing = threading.Lock()
        self._tries = 0
        self._held = _Held(_checked(read(), setting))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.setting!r})"

    @property
    def key(self) -> str:
        """The key as it is now."""
        return self._held.key

    def renewed(self, refused: str) -> str | None:
        """A key to try instead of `refused`, or None where there is none.

        Whoever comes first renews; whoever took its key before that, or waits meanwhile, gets what came of it. Logs
        one line where it renews, or fails to.
        """
        if not self._is_renewable:
            return None
        tries_before = self._tries
        with self._renewing:
            if self._held.key == refused and self._tries == tries_before:
                self._renew()
                self._tries += 1
            return None if self._held.key == refused else self._held.key

    def _renew(self) -> None:
        try:
            fresh = _checked(self._read(), self.setting)
        except SettingsError as fault:
            _log.warning("the key is no longer accepted and cannot be renewed: %s", fault)
            return
        if fresh == self._held.key:
            _log.warning("the key is no longer accepted, and `%s` gives the same key again", self.setting)
            return
        self._held = _Held(fresh)
        _log.info("the key is no longer accepted: renewed from `%s`", self.setting)


class _Held:
    """Keeps a key where no representation shows it, of whatever object holds this one."""

    __slots__ = ("key",)

    def __init__(self, key: str) -> None:
        self.key = key

    def __repr__(self) -> str:
        return "…"


def credentials_of(settings: Settings) -> Credentials:
    """The key that the settings give, read once now.

    `api_key_file` is read whole and stripped. `api_key_command` is split as a shell would split it and run without
    one: stdin closed, environment inherited, stderr dropped, 30 seconds; what it prints is stripped.

    Raises:
        SettingsError: The file is missing, unreadable or empty; the command is not found, fails, prints no key or does
            not end in time; the key has characters that no key has.
    """
    if settings.api_key_file:
        path = Path(settings.api_key_file)
        return Credentials("api_key_file", lambda: _from_file(path), is_renewable=True)
    if settings.api_key_command:
        command = settings.api_key_command  # may hold a password, and a partial would show it
        return Credentials("api_key_command", lambda: _from_command(command), is_renewable=True)
    return fixed(settings.api_key)


def fixed(key: str) -> Credentials:
    """A key that stays as it is.

    Raises:
        SettingsError: It is empty or has characters that no key has.
    """
    return Credentials("api_key", lambda: key, is_renewable=False)


def _checked(text: str, setting: str) -> str:
    if _KEY.fullmatch(text) is not None:
        return text
    if not text:
        raise SettingsError(f"`{setting}` gives no key: what it gives is empty")
    raise SettingsError(f"`{setting}` gives a key with spaces or other characters that no key has: copy it again")


def _from_file(path: Path) -> str:
    try:
        if path.exists() and not path.is_file():  # a pipe would be waited for
            raise SettingsError("`api_key_file` is not a plain file")
        with path.open("rb") as file:
            return _text(file.read(_SOURCE_LIMIT_BYTES + 1), "api_key_file")
    except (OSError, ValueError) as fault:
        reason = fault.strerror if isinstance(fault, OSError) else None
        raise SettingsError(f"`api_key_file` cannot be read ({reason or 'no path'})") from None


def _from_command(command: str) -> str:
    try:
        words = shlex.split(command)
    except ValueError:
        raise SettingsError("`api_key_command` has a quote that is not closed") from None
    if not words:
        raise SettingsError("`api_key_command` is empty")
    try:
        # A group of its own, so that what the command starts ends with it; without a terminal to wait for somebody.
        with subprocess.Popen(  # noqa: S603  # the command is a setting of whoever runs the target
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        ) as process:
            return _text(_printed(process), "api_key_command")
    except (OSError, ValueError) as fault:
        reason = fault.strerror if isinstance(fault, OSError) else None
        raise SettingsError(f"`api_key_command` cannot be run ({reason or 'no command'})") from None


def _printed(process: subprocess.Popen[bytes]) -> bytes:
    """All that the command prints, until it ends or its time does."""
    is_late = threading.Event()

    def end() -> None:
        is_late.set()
        _kill(process)

    timer = threading.Timer(COMMAND_TIMEOUT_S, end)
    timer.daemon = True
    timer.start()
    try:
        output = _first_bytes(process.stdout)
        if len(output) > _SOURCE_LIMIT_BYTES:
            _kill(process)
        exit_code = process.wait()
    except BaseException:
        _kill(process)
        raise
    finally:
        timer.cancel()
    if is_late.is_set():
        raise SettingsError(f"`api_key_command` did not end within {COMMAND_TIMEOUT_S:g} s")
    if exit_code and len(output) <= _SOURCE_LIMIT_BYTES:
        raise SettingsError(f"`api_key_command` ended with exit code {exit_code}: run it by hand to see why")
    return output


def _first_bytes(stream: IO[bytes] | None) -> bytes:
    return b"" if stream is None else stream.read(_SOURCE_LIMIT_BYTES + 1)


def _kill(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _text(content: bytes, setting: str) -> str:
    if len(content) > _SOURCE_LIMIT_BYTES:
        raise SettingsError(f"what `{setting}` gives is too long for a key")
    return content.decode("latin-1").strip()
