"""What stops a run, grouped by what the caller does next.

TargetError
├── SettingsError        fix the settings                               exit 2
├── InputError           fix the tap                                    exit 3
│   ├── MalformedLine
│   ├── RecordBeforeSchema
│   ├── MissingKey
│   └── UnreadableFile
├── RefusedByApi         key, owner, credits                            exit 4
├── ApiUnreachable       the API did not answer before anything was sent exit 4
├── GuardStop            a ceiling was reached                          exit 5
├── FolderLocked         another run holds the results folder           exit 6
├── ListsHeld            lists whose outcome is unknown: run again      exit 7
├── ListsUnfinished      `collect` has not got everything: run it again exit 7
├── StorageError         disk full, fsync failed, folder not usable     exit 8
├── BooksOpen            rows and records do not meet: a fault of ours  exit 1
└── Stopped              a signal came before the input ended           exit 130, 143
    └── CollectStopped   a signal came before all lists were collected

A message says what happened, where, and what to do. It never holds a value of a record, a body or a secret.
"""

from __future__ import annotations

from typing import Final

from singer_sdk.exceptions import MissingKeyPropertiesError, RecordsWithoutSchemaException

EXIT_CODES: Final = {
    0: "done: input ended, books closed, nothing held",
    1: "a fault of the program",
    2: "settings or usage",
    3: "the input is not a valid Singer stream, or a file of it cannot be read (what came before is settled first)",
    4: "the API refused (key, owner, out of credits), or could not be reached before anything was sent",
    5: "a guard stopped the run: a ceiling, or too many rejected records",
    6: "another run holds the results folder",
    7: "lists are held (outcome unknown, nothing lost), or `collect` has not got all of them yet",
    8: "storage: disk full, write not durable, folder not usable",
    130: "stopped by SIGINT before the input ended",
    143: "stopped by SIGTERM before the input ended",
}
"""What the process ends with."""


class TargetError(Exception):
    """Base of everything that stops a run on purpose; `exit_code` is what the process ends with."""

    exit_code = 1


class SettingsError(TargetError):
    """A setting is missing, unknown or out of bounds."""

    exit_code = 2


class InputError(TargetError):
    """The input is not a valid Singer stream; what came before it is settled first.

    Args:
        message: What is wrong, without any content of the line.
        line_no: 1-based line number.
        byte_offset: 0-based offset of the line's first byte in the input.
    """

    exit_code = 3

    def __init__(self, message: str, *, line_no: int, byte_offset: int) -> None:
        super().__init__(f"{message} (line {line_no}, byte offset {byte_offset})")
        self.line_no = line_no
        self.byte_offset = byte_offset


class MalformedLine(InputError):
    """A line that cannot be taken for a Singer message: it could have been a STATE or a SCHEMA."""


class RecordBeforeSchema(InputError, RecordsWithoutSchemaException):
    """A RECORD whose stream has had no SCHEMA."""


class MissingKey(InputError, MissingKeyPropertiesError):
    """A RECORD without one of its stream's key properties."""


class UnreadableFile(InputError):
    """A file of records is not there, not allowed, cut or damaged; it has no lines to name."""

    def __init__(self, message: str) -> None:
        TargetError.__init__(self, message)
        self.line_no = self.byte_offset = 0


class RefusedByApi(TargetError):
    """The API refused the account rather than a lead: key, owner or credits."""

    exit_code = 4


class ApiUnreachable(TargetError):
    """The API could not be asked before anything was sent; nothing is held."""

    exit_code = 4


class GuardStop(TargetError):
    """A ceiling that the settings name was reached; nothing beyond it was sent."""

    exit_code = 5


class FolderLocked(TargetError):
    """Another run holds the results folder."""

    exit_code = 6


class ListsHeld(TargetError):
    """The API cannot be asked whether some lists arrived; they are neither resent nor forgotten."""

    exit_code = 7


class ListsUnfinished(TargetError):
    """Lists that `collect` was to read are still processed by the API, or could not be read; the rest is written."""

    exit_code = 7


class StorageError(TargetError):
    """A durable write failed or the results folder cannot be used."""

    exit_code = 8


class BooksOpen(TargetError):
    """Result rows and input records do not meet; STATE stays behind."""


class Stopped(TargetError):
    """A signal ended the run before its input did.

    Args:
        signal_number: 2 (SIGINT) or 15 (SIGTERM).
    """

    def __init__(self, signal_number: int) -> None:
        super().__init__(
            "stopped by a signal before the input ended; STATE covers what is recorded, the next run goes on from there"
        )
        self.exit_code = 128 + signal_number


class CollectStopped(Stopped):
    """A signal ended `collect` before it had all lists; those that are written stay."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal_number)
        self.args = ("stopped by a signal; the lists written so far stay, the next `collect` goes on with the rest",)
