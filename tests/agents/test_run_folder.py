"""The checkpoints of a run, and whose run a folder holds."""

import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import mtgrpo_env
from mtgrpo_env.agents.config import TrainConfig
from mtgrpo_env.agents.run_folder import RunFolder
from mtgrpo_env.files import atomic_folder
from mtgrpo_env.manifest import DamagedError, verify, write_manifest

KILL_AFTER_A_RENAME = """
import os, signal, sys
from pathlib import Path
from mtgrpo_env.files import atomic_folder

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


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def killed(code: str, *arguments: object) -> int:
    """Run code in a process of its own; its exit code."""
    root = Path(mtgrpo_env.__file__).resolve().parents[1]
    return subprocess.run([sys.executable, "-c", code, *map(str, arguments)], cwd=root, check=False).returncode


def ended_pid() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_the_newest_checkpoint_is_the_one_of_the_highest_step_whatever_else_lies_there(tmp_path: Path) -> None:
    assert RunFolder(tmp_path).newest_checkpoint is None
    for step in (5, 1_000_000, 40, 2, 999_999, 7, 10, 300):
        write(RunFolder(tmp_path).checkpoint(step), "x")
    (tmp_path / "checkpoints" / ".step-2000000.unfinished-1").mkdir()
    (tmp_path / "checkpoints" / "notes").mkdir()
    assert RunFolder(tmp_path).newest_checkpoint == RunFolder(tmp_path).checkpoint(1_000_000)


@pytest.mark.parametrize(("renames", "text"), [(1, "old"), (2, "new")])
def test_a_process_killed_while_it_replaces_a_checkpoint_loses_none(tmp_path: Path, renames: int, text: str) -> None:
    """After the first rename the old one is out of place and the new one has no name yet."""
    checkpoint = RunFolder(tmp_path).checkpoint(4)
    write(checkpoint, "old")
    assert killed(KILL_AFTER_A_RENAME, checkpoint, renames) == -signal.SIGKILL
    assert checkpoint.exists() == (renames == 2)
    RunFolder(tmp_path).clean_up_interrupted_saves()
    assert RunFolder(tmp_path).newest_checkpoint == checkpoint
    assert (checkpoint / "file").read_text() == text
    assert names_in(checkpoint.parent) == [checkpoint.name]


def test_cleaning_up_deletes_what_is_unfinished_and_nothing_else(tmp_path: Path) -> None:
    RunFolder(tmp_path).clean_up_interrupted_saves()
    write(RunFolder(tmp_path).checkpoint(3), "x")
    dead = ended_pid()
    for name in (f".step-000004.unfinished-{dead}", f".step-000003.old-{dead}@elsewhere", ".cache", ".step-000003"):
        (tmp_path / "checkpoints" / name).mkdir()
    RunFolder(tmp_path).clean_up_interrupted_saves()
    assert names_in(tmp_path / "checkpoints") == [".cache", ".step-000003", "step-000003"]
    assert (RunFolder(tmp_path).checkpoint(3) / "file").read_text() == "x"


@pytest.mark.parametrize("count", [0, -1])
def test_at_least_one_checkpoint_is_kept(tmp_path: Path, count: int) -> None:
    write(RunFolder(tmp_path).checkpoint(1), "x")
    with pytest.raises(ValueError, match=f"newest must be at least 1, got {count}"):
        RunFolder(tmp_path).prune_checkpoints(newest=count)
    assert RunFolder(tmp_path).newest_checkpoint == RunFolder(tmp_path).checkpoint(1)


def test_pruning_to_more_than_there_are_or_in_a_run_without_any_deletes_nothing(tmp_path: Path) -> None:
    RunFolder(tmp_path).prune_checkpoints(newest=3)
    write(RunFolder(tmp_path).checkpoint(1), "x")
    RunFolder(tmp_path).prune_checkpoints(newest=3)
    assert RunFolder(tmp_path).newest_checkpoint == RunFolder(tmp_path).checkpoint(1)


def test_older_steps_are_deleted_but_for_those_to_be_kept_too(tmp_path: Path) -> None:
    for step in (1, 2, 3, 4):
        write(RunFolder(tmp_path).checkpoint(step), "x")
    RunFolder(tmp_path).prune_checkpoints(newest=2, also={1, 7})
    assert names_in(tmp_path / "checkpoints") == ["step-000001", "step-000003", "step-000004"]
    RunFolder(tmp_path).prune_checkpoints(newest=1, also={3, 4})
    assert names_in(tmp_path / "checkpoints") == ["step-000003", "step-000004"]


def test_the_optimisers_state_stays_in_the_newest_checkpoints_and_the_rest_of_the_others(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    for step in (1, 2, 3):
        with atomic_folder(folder.checkpoint(step)) as unfinished:
            (unfinished / "merged").mkdir()
            names = ("model.safetensors", "merged/model.safetensors", "optimizer-00000-00000.safetensors")
            for name in names:
                (unfinished / name).write_text(f"{name} {step}")
            write_manifest(unfinished)
    for _ in range(2):
        folder.prune_optimizer_states(newest=2)
    for step in (1, 2, 3):
        verify(folder.checkpoint(step))
    assert [(folder.checkpoint(step) / names[2]).is_file() for step in (1, 2, 3)] == [False, True, True]
    for step in (1, 2, 3):
        assert [(folder.checkpoint(step) / name).read_text() for name in names[:2]] == [
            f"{n} {step}" for n in names[:2]
        ]
    assert sorted(path.name for path in folder.checkpoints.iterdir()) == [f"step-{step:06d}" for step in (1, 2, 3)]


def test_a_folder_without_a_checkpoint_may_be_taken_for_another_run(tmp_path: Path) -> None:
    TrainConfig(seed=1).write(RunFolder(tmp_path).config)
    RunFolder(tmp_path).refuse_another_run(TrainConfig(seed=2))


def test_another_run_is_refused_by_the_options_that_differ_and_may_not(tmp_path: Path) -> None:
    folder, config = RunFolder(tmp_path), TrainConfig(tasks=("mini",), lr=1e-3)
    config.write(folder.config)
    write(folder.checkpoint(1), "x")
    folder.refuse_another_run(replace(config, steps=90, out=Path("moved"), device="cuda", tokens_per_forward=7))
    with pytest.raises(
        ValueError, match=r"holds another run \(tasks was \['mini'\], is \['easy'\]; lr was 0.001, is 0.1"
    ):
        folder.refuse_another_run(replace(config, tasks=("easy",), lr=0.1, steps=90))
    with pytest.raises(ValueError, match=r"\(eval_every was 10, is 5\)"):
        folder.refuse_another_run(replace(config, eval_every=5), may_change=frozenset())


def test_an_option_that_an_older_run_did_not_record_had_its_default(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    write(folder.checkpoint(1), "x")
    folder.config.write_text("lr: 0.001\n")
    folder.refuse_another_run(TrainConfig(lr=1e-3))
    with pytest.raises(ValueError, match=r"group_size was 8, is 4"):
        folder.refuse_another_run(TrainConfig(lr=1e-3, group_size=4))


@pytest.mark.parametrize(
    ("kept", "why"),
    [
        (lambda text: text[: text.index("0.001") + 3], "it ends within a line"),
        (lambda text: text[: text.index("\nlr: ") + 1], "it ends before lr"),
        (lambda text: "\0" * len(text), "is no YAML"),
        (lambda text: "", "it is empty"),
        (lambda text: "steps\n", "expected options like"),
    ],
)
def test_options_that_were_cut_short_are_damaged_and_no_other_run(
    tmp_path: Path, kept: Callable[[str], str], why: str
) -> None:
    folder, config = RunFolder(tmp_path), TrainConfig(tasks=("mini",), lr=1e-3)
    config.write(folder.config)
    write(folder.checkpoint(1), "x")
    folder.config.write_text(kept(folder.config.read_text()))
    with pytest.raises(DamagedError, match=f"config.yaml is damaged: .*{why}.*move it away and run again"):
        folder.refuse_another_run(config)
    folder.config.unlink()
    folder.refuse_another_run(config)


def test_a_name_in_a_folder_imports_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "trap_module.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    folder = RunFolder(tmp_path / "run")
    write(folder.checkpoint(1), "x")
    folder.config.write_text("method: trap_module:recipe\ntasks: [trap_module:tasks]\n")
    with pytest.raises(ValueError, match="method was 'trap_module:recipe'"):
        folder.refuse_another_run(TrainConfig())


def test_a_folder_with_steps_but_no_checkpoint_is_a_run_too(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    TrainConfig(seed=1).write(folder.config)
    folder.history.write_text('{"kind": "step", "step": 1}\n')
    with pytest.raises(ValueError, match="seed was 1, is 2"):
        folder.refuse_another_run(TrainConfig(seed=2))


def test_the_steps_of_a_run_may_change_unless_its_learning_rate_falls_over_them(tmp_path: Path) -> None:
    for schedule in ("constant", "linear"):
        folder = RunFolder(tmp_path / schedule)
        config = TrainConfig(steps=10, lr_schedule=schedule, warmup_steps=2)
        config.write(folder.config)
        folder.checkpoint(10).mkdir(parents=True)
        folder.refuse_another_run(config)
        longer = replace(config, steps=20)
        if schedule == "constant":
            folder.refuse_another_run(longer)
            continue
        with pytest.raises(ValueError, match=r"\(steps was 10, is 20, over which the learning rate falls\)"):
            folder.refuse_another_run(longer)


def test_cleaning_up_leaves_alone_what_a_live_process_writes(tmp_path: Path) -> None:
    """By the number in the name, with a host or, as earlier versions had it, without."""
    checkpoints = RunFolder(tmp_path).checkpoints
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        for name in (f".step-000004.unfinished-{process.pid}@{socket.gethostname()}", f".a.old-{process.pid}"):
            (checkpoints / name).mkdir(parents=True)
        before = names_in(checkpoints)
        RunFolder(tmp_path).clean_up_interrupted_saves()
        assert names_in(checkpoints) == before
        process.communicate(b"\n")
    RunFolder(tmp_path).clean_up_interrupted_saves()
    assert names_in(checkpoints) == ["a"]


def test_what_a_kill_left_of_a_file_of_the_run_is_cleaned_up_too(tmp_path: Path) -> None:
    (tmp_path / f".history.jsonl.unfinished-{ended_pid()}@elsewhere").mkdir()
    RunFolder(tmp_path).clean_up_interrupted_saves()
    assert not names_in(tmp_path)


@pytest.mark.parametrize("linked", ["run", "checkpoints", "step"])
def test_a_linked_folder_is_saved_into_pruned_and_found_and_nothing_behind_a_link_is_deleted(
    tmp_path: Path, linked: str
) -> None:
    elsewhere = tmp_path / "elsewhere"
    write(elsewhere / "step-000001", "mine")
    folder = RunFolder(tmp_path / "run")
    if linked == "run":
        folder.path.symlink_to(elsewhere)
    else:
        folder.path.mkdir()
    if linked == "checkpoints":
        folder.checkpoints.symlink_to(elsewhere)
    if linked == "step":
        folder.checkpoints.mkdir()
        for step in (1, 2):
            folder.checkpoint(step).symlink_to(elsewhere / "step-000001")
    folder.refuse_unwritable()
    for step in (2, 3):
        write(folder.checkpoint(step), str(step))
        folder.prune_checkpoints(newest=1)
        folder.clean_up_interrupted_saves()
    assert folder.steps == [3]
    assert (folder.checkpoint(3) / "file").read_text() == "3"
    assert names_in(folder.checkpoints) == ["step-000003"]
    if linked != "checkpoints":  # there a checkpoint of the run's own was pruned
        assert (elsewhere / "step-000001" / "file").read_text() == "mine"


def test_a_link_to_a_disk_that_is_not_there_is_named(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").symlink_to(tmp_path / "unmounted")
    with pytest.raises(FileNotFoundError, match=r"checkpoints links to .*unmounted, which is not there"):
        RunFolder(tmp_path).refuse_unwritable()


def test_a_checkpoint_that_links_to_nothing_is_none_and_is_replaced(tmp_path: Path) -> None:
    checkpoint = RunFolder(tmp_path).checkpoint(1)
    checkpoint.parent.mkdir()
    checkpoint.symlink_to(tmp_path / "gone")
    assert RunFolder(tmp_path).newest_checkpoint is None
    write(checkpoint, "x")
    assert names_in(checkpoint.parent) == ["step-000001"]
    assert not checkpoint.is_symlink()
