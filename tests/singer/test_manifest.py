from __future__ import annotations

import contextlib
import os
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from target_amplemarket.errors import UnreadableFile
from target_amplemarket.singer import manifest
from target_amplemarket.singer.manifest import check_names, open_named

SECRET = b"secret"
ALLOWED = b"allowed"


@contextlib.contextmanager
def a_machine() -> Iterator[Path]:
    """A folder `in` whose files may be read, beside others; links lead in and out."""
    with tempfile.TemporaryDirectory() as made:
        top = Path(made).resolve()
        for name in ("in/a", "in/sub/b c", "in/sub/%2e", "in/é", "in/100%25", "in/100%", "in/%2e%2e"):
            (top / name).parent.mkdir(parents=True, exist_ok=True)
            (top / name).write_bytes(ALLOWED)
        for name in ("out", "inside", "sub/out"):
            (top / name).parent.mkdir(exist_ok=True)
            (top / name).write_bytes(SECRET)
        (top / "in/to-out").symlink_to(top / "out")
        (top / "in/to-above").symlink_to(top)
        (top / "in/to-a").symlink_to("a")
        (top / "to-in").symlink_to(top / "in")
        (top / "in/loop").symlink_to("loop")
        os.mkfifo(top / "in/pipe")
        yield top


@pytest.fixture
def machine() -> Iterator[Path]:
    with a_machine() as top:
        yield top


def read(name: str, *folders: Path | str) -> bytes:
    with open_named(name, [str(folder) for folder in folders]) as file:
        return file.read()


@pytest.mark.parametrize(
    "name",
    [
        "file://{}/in/a",
        "FILE://{}/in/a",
        "file://localhost{}/in/a",
        "{}/in/a",
        "{}/in/../in/./a",
        "{}/to-in/a",
        "{}/in/to-a",
        "{}/in/to-above/in/a",
        "file://{}/in/sub/b%20c",
        "file://{}/in/sub/b c",
        "{}/in/sub/b c",
        "file://{}/in/%C3%A9",
        "file://{}/in/é",
        "file://{}/in/100%25",
        "{}/in/100%",
        "file://{}/in/sub%2Fb%20c",
        "file://{}/in/%2e%2e",
    ],
)
def test_files_below_an_allowed_folder_are_read_by_every_name_that_taps_give_them(machine: Path, name: str) -> None:
    assert read(name.format(machine), machine / "elsewhere", machine / "in") == ALLOWED
    assert read(name.format(machine), machine / "to-in") == ALLOWED


@pytest.mark.parametrize(
    "name",
    [
        "{}/out",
        "{}/inside",
        "{}/in",
        "{}/in/../out",
        "{}/in/to-out",
        "{}/in/to-above/out",
        "{}/in/nothing/../../out",
        "/etc/passwd",
        "file:///etc/passwd",
        "file:///proc/self/environ",
    ],
)
def test_what_lies_elsewhere_is_refused_after_links_and_dots_are_resolved(machine: Path, name: str) -> None:
    with pytest.raises(UnreadableFile, match="in none of the folders that the setting `batch_paths` allows"):
        read(name.format(machine), machine / "in")


@pytest.mark.parametrize("name", ["file://{}/in/%2e%2e/out", "file://{}/in/..%2Fout", "file://{}/in/%2E./out"])
def test_escaped_dots_and_slashes_lead_nowhere_else(machine: Path, name: str) -> None:
    with pytest.raises(UnreadableFile):
        read(name.format(machine), machine / "in")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("s3://bucket/key?X-Amz-Signature=SECRET", "named by `s3:`"),
        ("https://user:SECRET@host/a", "named by `https:`"),
        ("data:SECRET", "named by `data:`"),
        ("file:SECRET", "named by `file:`"),
        ("file://host/share/SECRET", "named by `file:`"),
        ("file://~/SECRET", "named by `file:`"),
        ("//host/share/SECRET", "no absolute path"),
        ("file:////host/SECRET", "no absolute path"),
        ("\\\\host\\share\\SECRET", "no absolute path"),
        ("C:\\SECRET", "named by `C:`"),
        ("SECRET", "no absolute path"),
        ("../SECRET", "no absolute path"),
        ("", "no absolute path"),
        ("/a\0SECRET", "no absolute path"),
        ("file:///a%00SECRET", "no absolute path"),
        ("file:///%2F/host/SECRET", "no absolute path"),
        ("/" + "SECRET" * 1000, "longer than 4,096 bytes"),
    ],
)
def test_names_that_are_no_local_path_are_refused_without_being_repeated(name: str, words: str) -> None:
    with pytest.raises(UnreadableFile, match=words) as caught:
        open_named(name, ["/"])
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("{}/in/gone", "No such file or directory; it has to be there until the target has read it"),
        ("{}/in/sub", "this is not a file"),
        ("{}/in/pipe", "this is not a file"),
        ("{}/in/a/b", "Not a directory"),
        ("{}/in/" + "x" * 300, "File name too long"),
        ("{}/in/loop", "Too many levels of symbolic links"),
    ],
)
def test_what_cannot_be_opened_is_said_with_its_name_and_nothing_waits(machine: Path, name: str, words: str) -> None:
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(UnreadableFile, match=words):
        read(name.format(machine), machine / "in")
    assert len(list(Path("/proc/self/fd").iterdir())) == descriptors


def test_a_name_is_shown_as_one_short_line(machine: Path) -> None:
    with pytest.raises(UnreadableFile) as caught:
        read(f"{machine}/in/\n\x1b[31m" + "x" * 2000, machine / "in")
    assert "\x1b" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


def test_without_folders_the_text_says_what_to_set() -> None:
    with pytest.raises(UnreadableFile, match="`batch_paths` names, and it names none: set it to the tap's"):
        check_names(["file:///a"], [])
    with pytest.raises(UnreadableFile, match="more than 100,000 files"):
        check_names(["a"] * 100_001, ["/"])
    check_names(["a"] * 100_000, ["/"])


def test_a_folder_that_is_swapped_for_a_link_after_the_check_is_not_followed(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked = manifest._place

    def swapped(path: str, folders: Any) -> Any:
        place = checked(path, folders)
        (machine / "in/sub").rename(machine / "in/was")
        (machine / "in/sub").symlink_to(machine / "sub")
        return place

    (machine / "in/sub/out").write_bytes(ALLOWED)
    assert read(f"{machine}/in/sub/out", machine / "in") == ALLOWED
    monkeypatch.setattr(manifest, "_place", swapped)
    with pytest.raises(UnreadableFile):
        read(f"{machine}/in/sub/out", machine / "in")


PARTS = st.sampled_from(
    [
        "in",
        "sub",
        "a",
        "b c",
        "out",
        "..",
        ".",
        "",
        "to-out",
        "to-above",
        "to-in",
        "to-a",
        "%2e%2e",
        "%2F",
        "..%2F",
        "%2e",
        *["%252e%252e", "loop", "é", "100%", "%00", "inside", "\\", "nothing"],
    ]
)


@given(
    st.lists(PARTS, max_size=8), st.sampled_from(["file://", "", "file://localhost", "File://", "file:"]), st.booleans()
)
@example(["in", "to-above", "out"], "file://", False)
@example(["in", "sub", "..", "..", "out"], "", False)
@example(["in", "sub", "b c", "%2F"], "file://", True)
def test_nothing_outside_is_ever_read(parts: list[str], opening: str, is_nested: bool) -> None:
    with a_machine() as top:
        (top / "in/in").mkdir()
        (top / "in/in/out").write_bytes(ALLOWED)
        folder = top / "in/sub" if is_nested else top / "in"
        with contextlib.suppress(UnreadableFile):
            content = read(opening + "/".join([str(top), *parts]), folder)
            assert content == ALLOWED
            names = {Path(*parts).name, Path(unquote("/".join(parts))).name}
            assert not is_nested or names & {"b c", "b%20c", "%2e", "."}


@given(st.text(max_size=30))
def test_no_name_does_anything_but_be_refused(name: str) -> None:
    with pytest.raises(UnreadableFile):
        open_named(name, [f"/nonexistent-{threading.get_ident()}"])
