import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import mtgrpo_env
from mtgrpo_env.agents.checkpoints import (
    atomic_file,
    atomic_folder,
    checkpoint_folder,
    keep,
    newest_checkpoint,
    recover,
)

KILL_AFTER_A_RENAME = """
import os, signal, sys
from pathlib import Path
from mtgrpo_env.agents.checkpoints import atomic_folder

rename, renames_left = Path.rename, int(sys.argv[2])

def rename_and_perhaps_die(path, target):
    global renames_left
    rename(path, target)
    renames_left -= 1
    if not renames_left:
        os.kill(os.getpid(), signal.SIGKILL)

Path.rename = rename_and_perhaps_die
with atomic_folder(Path(sys.argv[1])) as unfinished:
    (unfinished / "file").write_text("new")
"""


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


def test_the_newest_checkpoint_is_the_one_of_the_highest_step_whatever_else_lies_there(tmp_path: Path) -> None:
    assert newest_checkpoint(tmp_path) is None
    for step in (5, 1_000_000, 40, 2, 999_999, 7, 10, 300):
        write(checkpoint_folder(tmp_path, step), "x")
    (tmp_path / "checkpoints" / ".step-2000000.unfinished-1").mkdir()
    (tmp_path / "checkpoints" / "notes").mkdir()
    assert newest_checkpoint(tmp_path) == checkpoint_folder(tmp_path, 1_000_000)


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
        "import os, sys; from pathlib import Path; from mtgrpo_env.agents.checkpoints import atomic_folder\n"
        "with atomic_folder(Path(sys.argv[1])) as unfinished: (unfinished / 'file').write_text('half'); os._exit(9)"
    )
    assert killed(code, tmp_path / "a") == 9
    assert (tmp_path / "a" / "file").read_text() == "old"


@pytest.mark.parametrize(("renames", "text"), [(1, "old"), (2, "new")])
def test_a_process_killed_while_it_replaces_a_checkpoint_loses_none(tmp_path: Path, renames: int, text: str) -> None:
    """After the first rename the old one is out of place and the new one has no name yet."""
    checkpoint = checkpoint_folder(tmp_path, 4)
    write(checkpoint, "old")
    assert killed(KILL_AFTER_A_RENAME, checkpoint, renames) == -signal.SIGKILL
    assert checkpoint.exists() == (renames == 2)
    recover(tmp_path)
    assert newest_checkpoint(tmp_path) == checkpoint
    assert (checkpoint / "file").read_text() == text
    assert names_in(checkpoint.parent) == [checkpoint.name]


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


def test_recovering_deletes_what_is_unfinished_and_nothing_else(tmp_path: Path) -> None:
    recover(tmp_path)
    write(checkpoint_folder(tmp_path, 3), "x")
    for name in (".step-000004.unfinished-1", ".step-000003.old-12", ".cache", ".step-000003"):
        (tmp_path / "checkpoints" / name).mkdir()
    recover(tmp_path)
    assert names_in(tmp_path / "checkpoints") == [".cache", ".step-000003", "step-000003"]
    assert (checkpoint_folder(tmp_path, 3) / "file").read_text() == "x"


@pytest.mark.parametrize("count", [0, -1])
def test_at_least_one_checkpoint_is_kept(tmp_path: Path, count: int) -> None:
    write(checkpoint_folder(tmp_path, 1), "x")
    with pytest.raises(ValueError, match=f"newest must be at least 1, got {count}"):
        keep(tmp_path, newest=count)
    assert newest_checkpoint(tmp_path) == checkpoint_folder(tmp_path, 1)


def test_keeping_more_than_there_are_or_in_a_run_without_any_deletes_nothing(tmp_path: Path) -> None:
    keep(tmp_path, newest=3)
    write(checkpoint_folder(tmp_path, 1), "x")
    keep(tmp_path, newest=3)
    assert newest_checkpoint(tmp_path) == checkpoint_folder(tmp_path, 1)


def test_older_steps_are_deleted_but_for_those_to_be_kept_too(tmp_path: Path) -> None:
    for step in (1, 2, 3, 4):
        write(checkpoint_folder(tmp_path, step), "x")
    keep(tmp_path, newest=2, also={1, 7})
    assert names_in(tmp_path / "checkpoints") == ["step-000001", "step-000003", "step-000004"]
    keep(tmp_path, newest=1, also={3, 4})
    assert names_in(tmp_path / "checkpoints") == ["step-000003", "step-000004"]


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
