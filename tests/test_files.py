"""Files and folders that appear whole or not at all, whenever a process is killed."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import mtgrpo_env
from mtgrpo_env.files import (
    append_flushed,
    atomic_file,
    atomic_folder,
    refuse_unwritable_file,
    refuse_unwritable_folder,
)


def write(folder: Path, text: str) -> None:
    with atomic_folder(folder) as unfinished:
        (unfinished / "file").write_text(text)


def test_a_folder_takes_its_name_only_when_it_is_whole(tmp_path: Path) -> None:
    with atomic_folder(tmp_path / "a") as unfinished:
        (unfinished / "file").write_text("new")
        assert not (tmp_path / "a").exists()
    assert (tmp_path / "a" / "file").read_text() == "new"


def test_an_error_while_writing_leaves_the_old_folder_and_no_litter(tmp_path: Path) -> None:
    write(tmp_path / "a", "old")
    with pytest.raises(OSError, match="disk full"), atomic_folder(tmp_path / "a") as unfinished:  # noqa: PT012
        (unfinished / "file").write_text("half")
        raise OSError("disk full")
    assert (tmp_path / "a" / "file").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_folder_written_again_holds_only_the_new_files(tmp_path: Path) -> None:
    write(tmp_path / "a", "old")
    with atomic_folder(tmp_path / "a") as unfinished:
        (unfinished / "other").write_text("new")
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["other"]
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_folder_is_made_with_its_parents_and_may_be_named_by_a_text(tmp_path: Path) -> None:
    write(tmp_path / "run" / "checkpoints" / "a", "new")
    write(str(tmp_path / "b"), "new")  # pyright: ignore[reportArgumentType]
    assert (tmp_path / "run" / "checkpoints" / "a" / "file").read_text() == (tmp_path / "b" / "file").read_text()


def test_what_a_killed_process_of_the_same_number_left_is_no_part_of_a_new_folder(tmp_path: Path) -> None:
    leftover = tmp_path / f".a.unfinished-{os.getpid()}"
    leftover.mkdir()
    (leftover / "half").write_text("half")
    write(tmp_path / "a", "new")
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["file"]


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def killed(code: str, *arguments: object) -> int:
    """Run code in a process of its own; its exit code."""
    root = Path(mtgrpo_env.__file__).resolve().parents[1]
    return subprocess.run([sys.executable, "-c", code, *map(str, arguments)], cwd=root, check=False).returncode


def test_a_process_killed_while_writing_leaves_the_old_folder(tmp_path: Path) -> None:
    write(tmp_path / "a", "old")
    code = (
        "import os, sys; from pathlib import Path; from mtgrpo_env.files import atomic_folder\n"
        "with atomic_folder(Path(sys.argv[1])) as unfinished: (unfinished / 'file').write_text('half'); os._exit(9)"
    )
    assert killed(code, tmp_path / "a") == 9
    assert (tmp_path / "a" / "file").read_text() == "old"


def test_an_interrupt_between_the_two_renames_puts_the_old_folder_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "a", "old")
    rename = Path.rename

    def interrupted(path: Path, target: Path) -> Path:
        monkeypatch.undo()
        rename(path, target)
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "a", "new")
    assert (tmp_path / "a" / "file").read_text() == "old"
    assert names_in(tmp_path) == ["a"]


def test_a_file_is_replaced_whole_or_left_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    for text in ("old", "new"):
        with atomic_file(file) as unfinished:
            unfinished.write_text(text)
    with pytest.raises(OSError, match="disk full"), atomic_file(file) as unfinished:  # noqa: PT012
        unfinished.write_text("half")
        raise OSError("disk full")
    assert file.read_text() == "new"
    assert names_in(tmp_path) == ["a.txt"]


def test_a_file_is_never_replaced_by_a_folder_and_a_file_is_never_written_where_no_folder_is(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(NotADirectoryError, match="expected a folder, got the file"), atomic_folder(tmp_path / "file"):
        pytest.fail("was written")
    assert (tmp_path / "file").read_text() == "mine"
    missing = pytest.raises(FileNotFoundError, match=r"expected a folder for a\.txt, got .*none', which is none")
    with missing, atomic_file(tmp_path / "none" / "a.txt"):
        pytest.fail("was written")


def test_what_a_killed_process_was_writing_is_cleared_away_by_the_next_and_a_live_one_is_left_alone(
    tmp_path: Path,
) -> None:
    code = (
        "import os, sys; from pathlib import Path; from mtgrpo_env.files import atomic_file\n"
        "with atomic_file(Path(sys.argv[1])) as file: file.write_text('half'); print('begun', flush=True); input()"
    )
    root = Path(mtgrpo_env.__file__).resolve().parents[1]
    line = [sys.executable, "-c", code, str(tmp_path / "a.txt")]
    with subprocess.Popen(line, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"begun\n"
        (scratch,) = tmp_path.iterdir()
        for text in ("one", "two"):
            with atomic_file(tmp_path / "a.txt") as unfinished:
                unfinished.write_text(text)
            assert names_in(tmp_path) == ([scratch.name, "a.txt"] if text == "one" else ["a.txt"])
            process.kill()
            process.wait()
    assert (tmp_path / "a.txt").read_text() == "two"


def test_of_a_link_the_file_that_it_points_to_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "a.txt").write_text("old")
    (tmp_path / "a.txt").symlink_to(tmp_path / "there" / "a.txt")
    with atomic_file(tmp_path / "a.txt") as unfinished:
        unfinished.write_text("new")
    assert (tmp_path / "a.txt").is_symlink()
    assert (tmp_path / "there" / "a.txt").read_text() == "new"
    assert names_in(tmp_path / "there") == ["a.txt"]


@pytest.mark.skipif(sys.platform == "win32", reason="has no such device")
def test_a_device_is_written_and_stays_one() -> None:
    device = Path(os.devnull)
    refuse_unwritable_file(device)
    with atomic_file(device) as file:
        assert file == device
    assert device.is_char_device()


def test_whether_something_can_be_written_is_known_before_and_leaves_no_trace(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    refuse_unwritable_file(tmp_path / "file")
    refuse_unwritable_file(tmp_path / "new.txt")
    refuse_unwritable_folder(tmp_path / "new" / "folder")
    refuse_unwritable_folder(tmp_path)
    assert names_in(tmp_path) == ["file"]
    with pytest.raises(IsADirectoryError, match="expected a file, got the folder"):
        refuse_unwritable_file(tmp_path)
    with pytest.raises(NotADirectoryError, match=r"expected a folder, got the file '.*file'"):
        refuse_unwritable_folder(tmp_path / "file" / "folder")
    with pytest.raises(FileNotFoundError, match=r"expected a folder for a\.txt, got '.*file', which is none"):
        refuse_unwritable_file(tmp_path / "file" / "a.txt")


@pytest.mark.parametrize("refuse", [refuse_unwritable_file, refuse_unwritable_folder])
def test_a_path_that_leads_nowhere_is_named(refuse: Callable[[Path], None], tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises(OSError, match=r"expected a path that leads to a place, got .*a', a link in a circle"):
        refuse(tmp_path / "a")
    for name in ("a\0b", "a\ud800"):
        with pytest.raises(OSError, match="expected a path that a file can have, got"):
            refuse(tmp_path / name)


@pytest.mark.skipif(sys.platform != "linux", reason="where no file can be made, even by root, is Linux's")
def test_a_place_that_takes_no_files_is_named() -> None:
    with pytest.raises(OSError, match=r"^/sys/runs/a cannot be written: "):
        refuse_unwritable_folder(Path("/sys/runs/a"))
    with pytest.raises(OSError, match=r"^/sys/a\.txt cannot be written: "):
        refuse_unwritable_file(Path("/sys/a.txt"))


def test_what_is_appended_has_reached_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A crash of the system cannot be made here, so the order of what the disk is asked for is looked at."""
    synced: list[str] = []
    fsync = os.fsync

    def noted(descriptor: int) -> None:
        fsync(descriptor)
        synced.append((tmp_path / "a.jsonl").read_text())

    monkeypatch.setattr(os, "fsync", noted)
    for text in ("one\n", "two\n"):
        append_flushed(tmp_path / "a.jsonl", text)
    assert synced == ["one\n", "one\n", "one\ntwo\n"], "the first time the folder's names too"
