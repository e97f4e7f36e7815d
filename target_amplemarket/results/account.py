"""One results folder, one account: who was sent in one account says nothing of another."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from target_amplemarket.errors import SettingsError, StorageError
from target_amplemarket.services.protocol import Account
from target_amplemarket.storage.durable import Folder

_NAME: Final = "account.json"


class _Remembered(msgspec.Struct, frozen=True):
    service: str
    account_id: str


def is_remembered(folder: Path) -> bool:
    """Whether a run has settled whose folder this is."""
    return (folder / _NAME).exists()


def check_account(folder: Folder, service: str, account: Account) -> None:
    """Remember whose folder this is, or check that it is still the same account's.

    Args:
        folder: The results folder.
        service: Name of the API.
        account: As the API gave it; one without an id is not checked.

    Raises:
        SettingsError: The folder belongs to another account.
        StorageError: What is remembered cannot be read or written.
    """
    check_service(folder, service)
    if not account.account_id:
        return
    now, remembered = _Remembered(service, account.account_id), _remembered(folder)
    if remembered is None:
        folder.write(_NAME, msgspec.json.encode(now) + b"\n")
    elif remembered != now:
        raise SettingsError(
            f"the results folder {folder.path} belongs to another account: who was sent there says nothing of this "
            "one; set `results_path` to a folder of its own"
        )


def check_service(folder: Folder, service: str) -> None:
    """Check, without a call, that the folder is not that of another API.

    Raises:
        SettingsError: It is.
        StorageError: What is remembered cannot be read.
    """
    remembered = _remembered(folder)
    if remembered is not None and remembered.service != service:
        raise SettingsError(
            f"the results folder {folder.path} belongs to `service: {remembered.service}`: who was sent there says "
            f"nothing of `{service}`; set `results_path` to a folder of its own"
        )


def _remembered(folder: Folder) -> _Remembered | None:
    content = folder.read(_NAME)
    if content is None:
        return None
    try:
        return msgspec.json.decode(content, type=_Remembered)
    except msgspec.MsgspecError:
        raise StorageError(f"{folder.path / _NAME} is damaged; restore the file") from None
