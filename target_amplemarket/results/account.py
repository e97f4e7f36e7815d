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
    if not account.account_id:
        return
    now = _Remembered(service, account.account_id)
    content = folder.read(_NAME)
    if content is None:
        folder.write(_NAME, msgspec.json.encode(now) + b"\n")
        return
    try:
        remembered = msgspec.json.decode(content, type=_Remembered)
    except msgspec.MsgspecError:
        raise StorageError(f"{folder.path / _NAME} is damaged; restore the file") from None
    if remembered != now:
        raise SettingsError(
            f"the results folder {folder.path} belongs to another account: who was sent there says nothing of this "
            "one; set `results_path` to a folder of its own"
        )
