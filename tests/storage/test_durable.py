from __future__ import annotations

import errno
import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from target_amplemarket.errors import StorageError
from target_amplemarket.storage.durable import Folder
from tests.storage.recorder import Recorder, effects


@pytest.fixture
def umask_000() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def left_overs(path: Path) -> list[str]:
    return [found.name for found in path.rglob("*.tmp")]


def test_what_was_written_is_read(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "results")
    folder.write("outbox/1.arrow", b"one")
    folder.write("outbox/1.arrow", memoryview(b"two"))
    folder.write("empty", b"")
    assert folder.read("outbox/1.arrow") == b"two"
    assert folder.read("empty") == b""
    assert folder.read("outbox/2.arrow") is None
    assert folder.read("nowhere/2.arrow") is None


@pytest.mark.step("D2", "D6")
def test_a_file_is_written_then_synced_then_renamed_and_then_its_folder_is_synced(tmp_path: Path) -> None:
    system = Recorder()
    folder = Folder(tmp_path, system)
    folder.write("a", b"0123456789")
    assert effects(system) == [("write", "a.tmp"), ("fsync", "a.tmp"), ("replace", "a"), ("fsync", tmp_path.name)]
    assert system.open_descriptors == 0


def test_each_missing_folder_is_durable_before_the_next_is_made(tmp_path: Path) -> None:
    system = Recorder()
    Folder(tmp_path / "a" / "b", system).write("c/d", b"x")
    assert effects(system)[:6] == [
        ("mkdir", "a"),
        ("fsync", tmp_path.name),
        ("mkdir", "b"),
        ("fsync", "a"),
        ("mkdir", "c"),
        ("fsync", "b"),
    ]


@pytest.mark.step("D7")
def test_a_removal_is_durable(tmp_path: Path) -> None:
    system = Recorder()
    folder = Folder(tmp_path, system)
    folder.write("a", b"x")
    system.calls.clear()
    folder.remove("a")
    assert effects(system) == [("unlink", "a"), ("fsync", tmp_path.name)]
    assert folder.read("a") is None


def test_removing_what_is_not_there_is_no_error(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.remove("a")
    folder.remove("nowhere/a")


@pytest.mark.usefixtures("umask_000")
def test_files_and_folders_are_private_from_their_first_moment(tmp_path: Path) -> None:
    system = Recorder()
    seen: set[tuple[str, int]] = set()

    def look(_name: str, _path: str) -> None:
        for path in (tmp_path / "deep").rglob("*"):
            seen.add(("folder" if path.is_dir() else "file", mode_of(path)))

    system.at_call = look
    folder = Folder(tmp_path / "deep" / "results", system)
    folder.write("outbox/1", b"content")
    folder.write("outbox/1", b"content again")
    assert seen == {("folder", 0o700), ("file", 0o600)}
    assert mode_of(tmp_path / "deep") == 0o700


def test_a_file_being_written_is_not_visible_under_a_name(tmp_path: Path) -> None:
    system = Recorder()
    folder = Folder(tmp_path, system)
    folder.write("outbox/1", b"old")
    seen: list[tuple[list[str], bytes | None]] = []
    system.at_call = lambda _name, _path: seen.append((folder.names("outbox/*"), folder.read("outbox/1")))
    folder.write("outbox/1", b"new content")
    assert {content for _, content in seen} == {b"old", b"new content"}
    assert all(names == ["outbox/1"] for names, _ in seen)


def test_names_are_relative_and_sorted(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "results")
    for name in ("b/2", "a/10", "b/1"):
        folder.write(name, b"")
    assert folder.names("*/*") == ["a/10", "b/1", "b/2"]
    assert folder.names("c/*") == []


def call_count(tmp_path: Path) -> int:
    system = Recorder()
    write_and_remove(tmp_path / "counted", system)
    return len(system.calls)


def write_and_remove(path: Path, system: Recorder) -> None:
    folder = Folder(path, system)
    folder.write("outbox/1", b"one")
    folder.write("outbox/1", b"another")
    folder.remove("outbox/1")


@pytest.mark.parametrize("lasting", [False, True])
@pytest.mark.parametrize("error_number", [errno.ENOSPC, errno.EIO])
def test_a_fault_at_any_call_is_a_storage_error_and_leaves_whole_files(
    tmp_path: Path, error_number: int, lasting: bool
) -> None:
    count = call_count(tmp_path)
    assert count > 25
    for number in range(1, count + 1):
        path = tmp_path / f"at-{number}"
        system = Recorder(fail_at=number, error_number=error_number, lasting=lasting)
        with pytest.raises(StorageError, match=os.strerror(error_number)) as caught:
            write_and_remove(path, system)
        assert caught.value.exit_code == 8
        assert system.open_descriptors == 0
        assert Folder(path).read("outbox/1") in {None, b"one", b"another"}
        if not lasting:
            assert left_overs(path) == []


@pytest.mark.step("D2", "D6")
def test_a_write_whose_sync_failed_is_not_renamed(tmp_path: Path) -> None:
    system = Recorder()
    folder = Folder(tmp_path, system)

    def refuse(name: str, path: str) -> None:
        if name == "fsync" and path.endswith(".tmp"):
            raise OSError(errno.EIO, "Input/output error")

    system.at_call = refuse
    with pytest.raises(StorageError):
        folder.write("a", b"x")
    assert folder.read("a") is None
    assert "replace" not in {name for name, _ in system.calls}


def test_a_fault_of_another_kind_leaves_no_temporary_file(tmp_path: Path) -> None:
    system = Recorder()
    folder = Folder(tmp_path, system)

    def interrupt(name: str, _path: str) -> None:
        if name == "replace":
            raise KeyboardInterrupt

    system.at_call = interrupt
    with pytest.raises(KeyboardInterrupt):
        folder.write("a", b"x")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_a_symbolic_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for name in ("link", "dangling"):
        with pytest.raises(StorageError, match="symbolic link"):
            Folder(tmp_path / name)
    assert not (tmp_path / "nowhere").exists()


def test_a_folder_inside_that_is_a_symbolic_link_is_refused_before_a_write(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    folder = Folder(tmp_path / "results")
    (tmp_path / "results" / "outbox").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StorageError, match="symbolic link"):
        folder.write("outbox/1", b"x")
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_link_above_the_folder_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    Folder(tmp_path / "link" / "results").write("a", b"x")
    assert (tmp_path / "real" / "results" / "a").read_bytes() == b"x"


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for path in (tmp_path / "file", tmp_path / "file" / "results"):
        with pytest.raises(StorageError):
            Folder(path)


@pytest.mark.skipif(os.geteuid() == 0 and not hasattr(os, "chown"), reason="needs two users")
def test_a_folder_of_another_user_is_refused(tmp_path: Path) -> None:
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    if os.geteuid() == 0:
        os.chown(foreign, 12_345, 12_345)
    else:
        foreign = Path("/")
    with pytest.raises(StorageError, match="another user"):
        Folder(foreign)


@pytest.mark.parametrize("mode", [0o775, 0o770, 0o720, 0o702, 0o777, 0o1777, 0o2770])
def test_a_folder_that_others_can_write_into_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "results"
    folder = Folder(path)
    folder.write("a", b"x")
    path.chmod(mode)
    with pytest.raises(StorageError, match=f"chmod go-w {path}") as caught:
        Folder(path)
    assert caught.value.exit_code == 8
    path.chmod(0o700)
    (path / "outbox").mkdir()
    (path / "outbox").chmod(mode)
    with pytest.raises(StorageError, match=f"chmod go-w {path}/outbox"):
        folder.write("outbox/1", b"x")
    assert list((path / "outbox").iterdir()) == []


@pytest.mark.parametrize("mode", [0o755, 0o750, 0o700, 0o2750])
def test_a_folder_that_others_can_at_most_look_into_is_taken(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "results"
    path.mkdir()
    path.chmod(mode)
    Folder(path).write("outbox/1", b"x")
    assert mode_of(path) == mode
    assert Folder(path).read("outbox/1") == b"x"


def test_a_path_that_no_system_takes_is_a_storage_error() -> None:
    with pytest.raises(StorageError):
        Folder(Path("a\0b"))


def test_a_link_in_place_of_a_file_is_replaced_and_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    folder = Folder(tmp_path / "results")
    (tmp_path / "results" / "a").symlink_to(victim)
    folder.write("a", b"x")
    assert victim.read_bytes() == b"precious"
    assert not (tmp_path / "results" / "a").is_symlink()


def test_two_threads_that_write_one_name_leave_one_whole_file(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    contents = [bytes([letter]) * 100_000 for letter in b"abcd"]
    threads = [threading.Thread(target=folder.write, args=("sub/a", content)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert folder.read("sub/a") in contents
    assert left_overs(tmp_path) == []


def test_a_subfolder_that_cannot_be_listed_is_no_empty_one(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "results")
    folder.write("outbox", b"a file where a folder should be")
    with pytest.raises(StorageError, match="cannot be listed"):
        folder.names("outbox/*")


@pytest.mark.step("R1")
def test_what_a_killed_run_left_half_written_is_removed_and_nothing_else(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "results")
    folder.write("results/1/000001.arrow", b"whole")
    half = tmp_path / "results" / "results" / "1" / "000002.arrow.0a1b2c3d.tmp"
    half.write_bytes(b"ha")
    folder.remove_temporary_files()
    assert not half.exists()
    assert folder.read("results/1/000001.arrow") == b"whole"


def test_a_temporary_file_that_somebody_finishes_meanwhile_is_no_fault(tmp_path: Path) -> None:
    class Late:
        def __getattr__(self, name: str) -> Any:
            return getattr(os, name)

        def unlink(self, path: Path) -> None:
            path.rename(path.with_suffix(""))
            os.unlink(path)  # noqa: PTH108  # as the folder calls it

    folder = Folder(tmp_path / "results", Late())
    half = folder.path / "list.arrow.0a1b2c3d.tmp"
    half.write_bytes(b"whole")
    folder.remove_temporary_files()
    assert folder.read("list.arrow.0a1b2c3d") == b"whole"
