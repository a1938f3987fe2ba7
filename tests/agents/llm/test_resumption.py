"""A run resumes from what is sound, on what it was made of, and loses no more than what is said to be lost."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from thread_ranks import ThreadRanks, on_ranks, results_of
from training_runs import TASKS, history_of

from mtgrpo_env.agents.config import TrainConfig
from mtgrpo_env.agents.llm.resumption import Resumption
from mtgrpo_env.agents.mtgrpo import MTGRPOAgent
from mtgrpo_env.agents.run_folder import RunFolder
from mtgrpo_env.agents.trainer import Trainer
from mtgrpo_env.envs.zebra import Zebra
from mtgrpo_env.experiments.agent_options import AgentOptions
from mtgrpo_env.experiments.benchmark_agents import named_agent
from mtgrpo_env.manifest import DamagedError, digest_of, verify
from mtgrpo_env.named_tasks import read_tasks

CONFIG = TrainConfig(
    steps=4,
    lr=1e-3,
    batch_size=4,
    group_size=4,
    minibatches=2,
    max_new_tokens=16,
    eval_problems=8,
    eval_every=1,
    checkpoint_every=1,
    keep_checkpoints=3,
    device="cpu",
    tasks=TASKS,
)
HALF = 2
TASK = '''
"""A task of one's own."""
from mtgrpo_env.text_env import CORRECT, WRONG, TextEnv

class Own(TextEnv):
    def generate(self, rng): return int(rng.integers(1000))
    def prompt(self, puzzle): return str(puzzle)
    def verify(self, puzzle, response): return CORRECT if len(response) % 2 else WRONG
    def oracle(self, puzzle): return "1"
'''


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def trained(out: Path, model: Path | str, **options: Any) -> Trainer:
    """A run, made or resumed."""
    trainer = Trainer(model, out=out, config=replace(CONFIG, **options), callbacks=[])
    trainer.train()
    return trainer


@pytest.fixture(scope="module")
def whole(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing interrupted."""
    return Path(trained(tmp_path_factory.mktemp("whole") / "run", model_folder).folder)


@pytest.fixture(scope="module")
def half(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, stopped half-way."""
    return Path(trained(tmp_path_factory.mktemp("half") / "run", model_folder, steps=HALF).folder)


@pytest.fixture
def stopped(half: Path, tmp_path: Path) -> RunFolder:
    """A copy of the run that was stopped."""
    return RunFolder(shutil.copytree(half, tmp_path / "run"))


def last_files(out: Path | RunFolder) -> dict[str, bytes]:
    """Every file of the newest checkpoint."""
    newest = RunFolder(str(out)).newest_checkpoint
    assert newest is not None
    return {path.name: path.read_bytes() for path in newest.iterdir()}


def flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 4
    file.write_bytes(data)


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-9])


# Damaged checkpoints


def test_a_resumed_run_ends_in_files_of_equal_bytes(whole: Path, stopped: RunFolder, model_folder: Path) -> None:
    trained(stopped.path, model_folder)
    assert last_files(stopped) == last_files(whole)
    assert history_of(stopped.path) == history_of(whole)


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("model.safetensors", flip),
        ("optimizer-00000-00000.safetensors", cut),
        ("agent.json", flip),
        ("curriculum.json", cut),
        ("replay.bin", flip),
        ("run.json", Path.unlink),
        ("manifest.json", Path.unlink),
        ("manifest.json", flip),
    ],
)
def test_the_newest_sound_checkpoint_is_used_and_a_damaged_one_is_named_and_kept(
    whole: Path,
    stopped: RunFolder,
    model_folder: Path,
    name: str,
    damage: Callable[[Path], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    newest, older = stopped.checkpoint(HALF), stopped.checkpoint(HALF - 1)
    damage(newest / name)
    before = {path.name: path.read_bytes() for path in newest.iterdir()}
    trained(stopped.path, model_folder)
    (line,) = [record.getMessage() for record in caplog.records if "damaged" in record.getMessage()]
    aside = newest.with_name(f"{newest.name}.damaged")
    assert line.startswith("damaged checkpoint: ")
    assert line.endswith(f"; it is kept as {aside}, {older} is used")
    assert str(newest / name) in line or name == "manifest.json"
    assert {path.name: path.read_bytes() for path in aside.iterdir()} == before
    assert last_files(stopped) == last_files(whole)


def test_without_a_sound_checkpoint_the_run_ends_with_one_line_and_touches_nothing(
    stopped: RunFolder, model_folder: Path
) -> None:
    for step in stopped.steps:
        flip(stopped.checkpoint(step) / "model.safetensors")
    before = digest_of(kept_files(stopped))
    with pytest.raises(
        ValueError, match=r"has no sound checkpoint to resume from \(.*step-000002.model\.safetensors: "
    ):
        trained(stopped.path, model_folder)
    assert digest_of(kept_files(stopped)) == before


def kept_files(run: RunFolder) -> list[Path]:
    """All but the file that names who works in the folder."""
    return [path for path in run.path.rglob("*") if path.is_file() and path.name != ".lock"]


def test_stray_names_among_checkpoints_are_ignored(stopped: RunFolder, model_folder: Path) -> None:
    shutil.copytree(stopped.checkpoint(1), stopped.checkpoints / "step-000010.bak")
    (stopped.checkpoints / "step-000011").write_text("a file")
    (stopped.checkpoints / "step-12").mkdir()
    assert stopped.newest_checkpoint == stopped.checkpoint(HALF)
    trained(stopped.path, model_folder)
    assert {"step-000010.bak", "step-000011", "step-12"} < {path.name for path in stopped.checkpoints.iterdir()}


def as_of_the_first_format(checkpoint: Path) -> None:
    for name in ("manifest.json", "run.json", "replay.json", "replay.bin"):
        (checkpoint / name).unlink()
    (checkpoint / "replay.pkl").write_bytes(b"\x80\x04N.")
    state = json.loads((checkpoint / "agent.json").read_text())
    del state["format"]
    (checkpoint / "agent.json").write_text(json.dumps(state))


def test_a_checkpoint_of_the_first_format_is_resumed_on_request_without_its_replayed_groups(
    stopped: RunFolder, model_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for step in stopped.steps:
        as_of_the_first_format(stopped.checkpoint(step))
    with pytest.raises(ValueError, match=r"step-000002 is of an earlier version, .*: --accept-changes package resumes"):
        trained(stopped.path, model_folder)
    assert trained(stopped.path, model_folder, accept_changes=("package",)).agent.step == CONFIG.steps
    assert "without a manifest.json: its files are not verified" in caplog.text
    assert "groups for replay that an earlier version kept are not read" in caplog.text
    verify(stopped.checkpoint(CONFIG.steps))


def test_a_damaged_checkpoint_does_not_play_unless_what_is_damaged_is_never_read(stopped: RunFolder) -> None:
    checkpoint = stopped.checkpoint(HALF)
    flip(checkpoint / "optimizer-00000-00000.safetensors")
    for name in (f"hf:{checkpoint}", str(checkpoint), str(stopped)):
        named_agent(name, AgentOptions())
    flip(checkpoint / "model.safetensors")
    for name in (f"hf:{checkpoint}", str(checkpoint), str(stopped)):
        with pytest.raises(DamagedError, match=r"model\.safetensors: expected the SHA-256 \w+, found \w+$"):
            named_agent(name, AgentOptions())


@pytest.mark.parametrize("policy", ["mlp", "tabular"])
def test_an_agent_of_a_damaged_checkpoint_is_not_loaded(policy: str, tmp_path: Path) -> None:
    agent = MTGRPOAgent("CartPole-v1" if policy == "mlp" else "FrozenLake-v1", policy=policy, batch_size=4)
    agent.train(2)
    agent.save(tmp_path / "agent")
    assert MTGRPOAgent.load(tmp_path / "agent").step == 2
    for file in sorted((tmp_path / "agent").iterdir()):
        if not (data := file.read_bytes()):  # nothing is held for replay
            continue
        flip(file)
        with pytest.raises(DamagedError, match=re.escape(str(tmp_path / "agent"))):
            MTGRPOAgent.load(tmp_path / "agent")
        file.write_bytes(data)


def test_two_ranks_find_one_checkpoint_and_read_it_once(stopped: RunFolder, model_folder: Path) -> None:
    flip(stopped.checkpoint(HALF) / "model.safetensors")
    config = replace(CONFIG, model=str(model_folder)).for_run()

    def resumed(ranks: ThreadRanks) -> tuple[Path | None, bool]:
        resumption = Resumption(stopped, config, read_tasks(TASKS), ranks)
        resumption.identify_model(str(model_folder))
        return resumption.checkpoint, bool(resumption.made_of)

    assert results_of(2, resumed) == [(stopped.checkpoint(HALF - 1), True), (stopped.checkpoint(HALF - 1), False)]


def test_what_the_first_rank_refuses_the_others_refuse_too(stopped: RunFolder, model_folder: Path) -> None:
    config = replace(CONFIG, model=str(model_folder), tasks=TASKS[:1]).for_run()
    outcomes = on_ranks(2, lambda ranks: Resumption(stopped, config, read_tasks(TASKS[:1]), ranks))
    assert [type(outcome) for outcome in outcomes] == [ValueError, ValueError]
    assert "tasks: countdown-mini changed: Countdown" in str(outcomes[1])


# A lost history


def test_a_lost_history_costs_figures_and_neither_the_best_checkpoint_nor_the_start(
    whole: Path, stopped: RunFolder, model_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    best = RunFolder(whole)
    stopped.history.unlink()
    trainer = trained(stopped.path, model_folder)
    assert f"{stopped.history}: the numbers of 2 of 2 steps are lost; 3 other records are taken from" in caplog.text
    uninterrupted = [record for record in history_of(whole) if record["kind"] == "evaluation"]
    assert trainer.history.of("evaluation") == uninterrupted
    expected = Trainer(model_folder, out=whole, config=CONFIG, callbacks=[])
    assert trainer.best_step == expected.best_step
    assert set(stopped.steps) == set(best.steps)


def test_a_damaged_line_of_the_history_is_kept_aside_and_the_run_goes_on(
    whole: Path, stopped: RunFolder, model_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lines = stopped.history.read_bytes().split(b"\n")
    place = next(i for i, line in enumerate(lines) if b'"evaluation"' in line)
    lines[place] = b"\x00" + lines[place]
    stopped.history.write_bytes(b"\n".join(lines))
    trained(stopped.path, model_folder)
    assert f"not so in {place + 1}: kept as {stopped.history}.damaged" in caplog.text
    assert history_of(stopped.path) == history_of(whole)


# What a run is made of


def test_a_run_whose_starting_model_was_moved_goes_on_to_the_same_bits(
    whole: Path, stopped: RunFolder, model_folder: Path, tmp_path: Path
) -> None:
    moved = shutil.copytree(model_folder, tmp_path / "moved")
    trained(stopped.path, moved)
    assert last_files(stopped) == last_files(whole)
    assert TrainConfig.read(stopped.config).model == str(moved)


def test_a_run_whose_starting_model_was_deleted_goes_on_to_the_same_bits(
    whole: Path, stopped: RunFolder, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    trained(stopped.path, str(tmp_path / "deleted"))
    assert f"{tmp_path / 'deleted'} is not there: the model is built by {stopped.checkpoint(HALF)}" in caplog.text
    assert last_files(stopped) == last_files(whole)


def test_a_method_that_is_held_near_to_its_start_needs_it(model_folder: Path, tmp_path: Path) -> None:
    model, out = shutil.copytree(model_folder, tmp_path / "model"), tmp_path / "run"
    trained(out, model, kl_coef=0.1, steps=1)
    shutil.rmtree(model)
    with pytest.raises(FileNotFoundError, match="expected a model folder"):
        trained(out, model, kl_coef=0.1, steps=2)


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json"])
def test_another_starting_model_is_refused_or_accepted_by_name(
    stopped: RunFolder, model_folder: Path, name: str, tmp_path: Path
) -> None:
    model = shutil.copytree(model_folder, tmp_path / "model")
    file = model / name
    file.write_bytes(file.read_bytes() + b" " if name.endswith("json") else altered_weights(file))
    with pytest.raises(
        ValueError, match=r"another run \(model: starting model changed: \d+ files of .*\) -> .*changes model$"
    ):
        trained(stopped.path, model)
    assert trained(stopped.path, model, accept_changes=("model",), steps=3).agent.step == 3
    assert TrainConfig.read(stopped.config).accept_changes == (), "it is accepted once"


def altered_weights(file: Path) -> bytes:
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    return bytes(data)


def test_another_version_of_a_task_is_refused_by_name(
    stopped: RunFolder, model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Zebra, "version", Zebra.version + 1)
    with pytest.raises(ValueError, match=r"tasks: zebra-mini changed: Zebra of version \d+, .* -> Zebra of version"):
        trained(stopped.path, model_folder)
    assert trained(stopped.path, model_folder, accept_changes=("tasks",), steps=3).agent.step == 3


def test_other_code_of_ones_own_is_refused_by_name_wherever_it_lies(
    model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def with_task(code: str, folder: str, steps: int) -> Trainer:
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / "own_resumed_task.py").write_text(code)
        monkeypatch.syspath_prepend(tmp_path / folder)
        sys.modules.pop("own_resumed_task", None)
        return trained(tmp_path / "run", model_folder, tasks=("own_resumed_task:Own", "zebra-mini"), steps=steps)

    with_task(TASK, "one", 1)
    assert with_task(TASK, "two", 2).agent.step == 2
    with pytest.raises(ValueError, match=r"tasks: code of own_resumed_task changed: digest \w+ -> digest \w+"):
        with_task(TASK.replace("% 2", "% 3"), "three", 3)
    sys.modules.pop("own_resumed_task", None)


def write_rows(file: Path, numbers: range) -> Path:
    rows = [
        {"prompt": f"{n}+1?", "answer": str(n + 1), "task": "sums", "split": "train" if n % 4 else "test"}
        for n in numbers
    ]
    file.parent.mkdir(exist_ok=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def test_rows_are_compared_by_their_content_and_not_by_their_path(model_folder: Path, tmp_path: Path) -> None:
    def on(file: Path, steps: int, **options: Any) -> Trainer:
        tasks = (str(file), "zebra-mini")
        return trained(tmp_path / "run", model_folder, tasks=tasks, reward=("number",), steps=steps, **options)

    on(write_rows(tmp_path / "a" / "sums.jsonl", range(12)), 1)
    assert on(write_rows(tmp_path / "b" / "sums.jsonl", range(12)), 2).agent.step == 2
    appended = write_rows(tmp_path / "c" / "sums.jsonl", range(13))
    message = r"rows: sums changed: 9 train and 3 test problems \(\w+\) -> 9 train and 4 test problems \(\w+\)"
    with pytest.raises(ValueError, match=message):
        on(appended, 3)
    reordered = write_rows(tmp_path / "d" / "sums.jsonl", range(11, -1, -1))
    with pytest.raises(
        ValueError, match=r"rows: sums changed: 9 train .* -> 9 train and 3 test .* by --accept-changes rows$"
    ):
        on(reordered, 3)
    assert on(appended, 3, accept_changes=("rows",)).agent.step == 3
    assert on(appended, 4).agent.step == 4, "from here on these are its rows"


def test_another_version_of_the_package_is_said_and_no_reason_to_refuse(
    stopped: RunFolder, model_folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("mtgrpo_env.agents.run_identity.VERSION", "9.9")
    trained(stopped.path, model_folder, steps=3)
    assert f"{stopped.checkpoint(HALF)} was saved by mtgrpo-env " in caplog.text
    assert "is resumed by mtgrpo-env 9.9" in caplog.text


def test_only_known_changes_can_be_accepted() -> None:
    with pytest.raises(
        ValueError, match=r"accept_changes must be one of \['rows', 'model', 'tasks', 'package'\], got 'x'"
    ):
        replace(CONFIG, accept_changes=("x",))
