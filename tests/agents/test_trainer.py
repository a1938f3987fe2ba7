"""`Trainer` from Python: a run is made, resumed and refused as on the command line, and its callbacks see all of it."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

from training_runs import TASKS, history_of

from mtgrpo_env.agents.callbacks import TrainerCallback, report_callbacks
from mtgrpo_env.agents.config import TrainConfig
from mtgrpo_env.agents.display import Display
from mtgrpo_env.agents.llm.plan import high_lr
from mtgrpo_env.agents.reports.samples import read_samples
from mtgrpo_env.agents.trainer import Trainer, TrainingError
from mtgrpo_env.batch_metrics import TrainMetrics
from mtgrpo_env.evaluation import Evaluation
from mtgrpo_env.filters import rewards_differ
from mtgrpo_env.named_tasks import read_tasks
from mtgrpo_env.suite import Task, TaskError
from mtgrpo_env.text_env import CORRECT, WRONG, TextEnv, Verdict
from mtgrpo_env.truncation import mask_truncated
from mtgrpo_env.types import Group

CONFIG = TrainConfig(
    steps=2,
    lr=4e-4,
    batch_size=4,
    group_size=4,
    minibatches=2,
    max_new_tokens=16,
    eval_problems=8,
    eval_every=2,
    checkpoint_every=1,
    device="cpu",
)


class Echo(TextEnv[int]):
    """A task of one's own: right is what has an odd number of letters."""

    def generate(self, rng: np.random.Generator) -> int:
        return int(rng.integers(1000))

    def prompt(self, puzzle: int) -> str:
        return str(puzzle)

    def verify(self, puzzle: int, response: str) -> Verdict:
        return CORRECT if len(response) % 2 else WRONG

    def oracle(self, puzzle: int) -> str:
        return "1"


class Record(TrainerCallback):
    """Notes what a run calls."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def on_build(self, trainer: Trainer, source: str) -> None:
        self.calls.append("build")

    def on_start(self, trainer: Trainer) -> None:
        self.calls.append(f"start {trainer.agent.step}")

    def on_step(self, trainer: Trainer, metrics: TrainMetrics) -> None:
        self.calls.append(f"step {metrics.step}")

    def on_group(self, trainer: Trainer, group: Group) -> None:
        if self.calls[-1] != "groups":
            self.calls.append("groups")

    def on_evaluation(self, trainer: Trainer, evaluation: Evaluation) -> None:
        self.calls.append(f"evaluation {trainer.agent.step}")

    def on_save(self, trainer: Trainer, checkpoint: Path) -> None:
        self.calls.append(f"save {checkpoint.name}")

    def on_end(self, trainer: Trainer) -> None:
        self.calls.append("end")

    def close(self) -> None:
        self.calls.append("close")


def trainer(model: Path, out: Path, *callbacks: TrainerCallback, tasks: Any = TASKS, **options: Any) -> Trainer:
    return Trainer(model, tasks=tasks, out=out, config=replace(CONFIG, **options), callbacks=callbacks)


def test_a_run_calls_its_callbacks_in_order_and_is_resumed(model_folder: Path, tmp_path: Path) -> None:
    first = Record()
    result = trainer(model_folder, tmp_path, first, steps=1, eval_every=1).train()
    assert (result.step, result.is_finished, result.exit_code) == (1, True, 0)
    whole = ["build", "start 0", "groups", "evaluation 0", "step 1", "groups", "evaluation 1", "save step-000001"]
    assert first.calls == [*whole, "end", "close"]
    second = Record()
    assert trainer(model_folder, tmp_path, second, eval_every=1).train().step == 2
    assert second.calls[:3] == ["build", "start 1", "step 2"]


def test_the_same_run_is_made_by_the_config_that_it_wrote(model_folder: Path, tmp_path: Path) -> None:
    trainer(model_folder, tmp_path / "one").train()
    written = TrainConfig.read(tmp_path / "one" / "config.yaml")
    assert written == replace(CONFIG, model=str(model_folder), tasks=TASKS, out=tmp_path / "one")
    Trainer(config=replace(written, out=tmp_path / "two"), callbacks=[]).train()
    assert history_of(tmp_path / "one") == history_of(tmp_path / "two")


def test_an_evaluation_is_printed_as_a_table_with_the_worst_task_first(model_folder: Path, tmp_path: Path) -> None:
    own = trainer(model_folder, tmp_path)
    evaluation = own.evaluate()
    assert not (tmp_path / "config.yaml").exists(), "looking at a model makes no run"
    lines = str(evaluation).splitlines()
    order = [name for line in lines for name in TASKS if line.startswith(name)]
    accuracies = dict(zip(evaluation.names, evaluation.accuracies, strict=True))
    assert sorted(accuracies, key=accuracies.__getitem__) == order
    assert own.evaluate().accuracies.tolist() == evaluation.accuracies.tolist()


def test_tasks_may_be_classes_and_another_run_is_told_by_their_names(model_folder: Path, tmp_path: Path) -> None:
    trainer(model_folder, tmp_path, *report_callbacks(), tasks=["zebra-mini", Echo], steps=1).train()
    assert TrainConfig.read(tmp_path / "config.yaml").tasks == ("zebra-mini", f"{Echo.__module__}:Echo")
    assert {sample.suite_task for sample in read_samples(tmp_path / "samples.jsonl")} == {"zebra-mini", "Echo"}
    with pytest.raises(ValueError, match="holds another run"):
        _ = trainer(model_folder, tmp_path).agent


def test_what_a_language_model_cannot_play_is_refused_by_name(model_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a language model needs text tasks, got 'CartPole-v1'"):
        trainer(model_folder, tmp_path, tasks=[Task.from_id("CartPole-v1")])
    with pytest.raises(ValueError, match="batch_size must be at least the number of tasks, 2, got 1"):
        trainer(model_folder, tmp_path, batch_size=1, minibatches=1)


def test_a_learning_rate_is_too_high_for_a_large_model_and_not_for_a_tiny_one(
    model_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from transformers import LlamaConfig

    run = trainer(model_folder, tmp_path / "run", lr=4e-4)
    small = run.prompts
    assert "lr is" not in caplog.text
    large = replace(small, model_config=LlamaConfig(num_hidden_layers=2))
    assert high_lr(run.config, large).startswith("lr is 0.0004, for 6")
    assert high_lr(replace(run.config, lr=1e-6), large) == ""


def test_a_failed_step_is_one_error_with_the_newest_checkpoint(
    model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = trainer(model_folder, tmp_path, record := Record())
    monkeypatch.setattr(own.agent, "train_step", lambda **_: (_ for _ in ()).throw(TaskError("task 'a' raised")))
    with pytest.raises(TrainingError, match="step 1 failed: task 'a' raised\nThere is no checkpoint yet"):
        own.train()
    assert record.calls[-1] == "close"
    assert "end" not in record.calls


def test_training_draws_by_its_own_options_and_evaluations_by_theirs(
    model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options: dict[str, Any] = {"stratified": True, "eval_temperature": 0.0, "eval_top_p": 0.5, "eval_every": 1}
    own = trainer(model_folder, tmp_path, steps=1, **options)
    engine = own.agent.policy.engine  # pyright: ignore[reportAttributeAccessIssue]
    generate, drawn = engine.generate, []

    def recorded(prompts: Any, counts: Any, decoding: Any, seeds: Any) -> Any:
        drawn.append((max(counts) > 1, decoding.temperature, decoding.top_p, decoding.stratified))
        return generate(prompts, counts, decoding, seeds)

    monkeypatch.setattr(engine, "generate", recorded)
    own.train()
    assert set(drawn) == {(True, 1.0, 1.0, True), (False, 0.0, 0.5, False)}


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("the template refuses messages of system"), "the template refuses messages of system"),
        (MemoryError(), "MemoryError: no message"),
        (RuntimeError("CUDA out of memory.\nTried to allocate"), "RuntimeError: CUDA out of memory."),
        (ValueError("none at http://me:pw-17@host/v1\x1b[2J"), "none at http://host/v1⟨U+001B⟩[2J"),
        (AttributeError("no attribute 'strip'"), "AttributeError: no attribute 'strip'"),
        (SystemExit(0), "SystemExit: 0"),
    ],
)
def test_whatever_fails_in_a_step_ends_a_saved_run_in_one_line(
    model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, said: str
) -> None:
    own = trainer(model_folder, tmp_path, steps=3, checkpoint_every=100, eval_every=100)
    act = own.agent.policy.stream  # pyright: ignore[reportAttributeAccessIssue]

    def failing(*arguments: Any, **options: Any) -> Any:
        if own.agent.step == 1:
            raise error
        return act(*arguments, **options)

    monkeypatch.setattr(own.agent.policy, "stream", failing)
    with pytest.raises(TrainingError) as caught:
        own.train()
    assert str(caught.value).splitlines()[0] == f"step 2 failed: {said}"
    assert own.folder.steps == [1], "the finished step is saved"
    kept = own.folder.failures.read_text()
    assert "in failing\n" in kept
    assert "pw-17" not in kept
    assert "\x1b" not in kept
    assert trainer(model_folder, tmp_path, steps=3, checkpoint_every=100, eval_every=100).train().step == 3


def test_a_failure_in_the_middle_of_an_update_is_not_saved(
    model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = trainer(model_folder, tmp_path, steps=3, checkpoint_every=100, eval_every=100)
    update = own.agent.learner.update

    def failing(*arguments: Any, **options: Any) -> Any:
        if own.agent.step == 1:
            raise MemoryError
        return update(*arguments, **options)

    monkeypatch.setattr(own.agent.learner, "update", failing)
    with pytest.raises(TrainingError, match="step 2 failed: MemoryError"):
        own.train()
    assert own.folder.steps == []


def test_a_callback_that_fails_ends_a_saved_run(model_folder: Path, tmp_path: Path) -> None:
    class Careless(TrainerCallback):
        def on_step(self, trainer: Trainer, metrics: TrainMetrics) -> None:
            raise KeyError("loss")

    own = trainer(model_folder, tmp_path, Careless(), steps=3, checkpoint_every=100, eval_every=100)
    with pytest.raises(TrainingError, match="a callback of step 1 failed: KeyError: 'loss'"):
        own.train()
    assert own.folder.steps == [1]


@pytest.mark.parametrize(
    ("method", "said"),
    [
        ("on_start", "the start"),
        ("on_progress", "the evaluation after step 0"),
        ("on_training_group", "step 1"),
        ("on_evaluation", "the evaluation after step 0"),
        ("on_end", "the end of the run"),
        ("close", "the end of the run"),
    ],
)
def test_a_failure_is_named_by_where_the_run_was(model_folder: Path, tmp_path: Path, method: str, said: str) -> None:
    def failing(self: TrainerCallback, *arguments: object) -> None:
        raise KeyError(method)

    careless = type("Careless", (TrainerCallback,), {method: failing})()
    with pytest.raises(TrainingError) as caught:
        trainer(model_folder, tmp_path, careless, steps=1).train()
    assert str(caught.value).splitlines()[0] == f"{said} failed: KeyError: {method!r}"


def test_a_best_model_that_is_worse_than_the_first_is_said_to_be(
    model_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = trainer(model_folder, tmp_path, Display(), steps=1, eval_every=1)
    evaluate = own.agent.evaluate

    def falling(*arguments: Any, **options: Any) -> Evaluation:
        accuracies = np.array([0.25, 0.5] if own.agent.step else [0.75, 0.5])
        return replace(evaluate(*arguments, **options), accuracies=accuracies)

    own.agent.evaluate = falling  # pyright: ignore[reportAttributeAccessIssue]
    own.train()
    out = capsys.readouterr().out
    assert "(worst task 25.0%, average 37.5%), and worse than the starting model, with 50.0% and 62.5%" in out


def test_the_display_hides_the_bars_of_transformers_while_it_shows_a_run(model_folder: Path, tmp_path: Path) -> None:
    from transformers.utils import logging

    shown: list[bool] = []

    class Looking(TrainerCallback):
        def on_save(self, trainer: Trainer, checkpoint: Path) -> None:
            shown.append(logging.is_progress_bar_enabled())

    logging.enable_progress_bar()
    trainer(model_folder, tmp_path, Display(), Looking(), steps=1).train()
    assert shown == [False]
    assert logging.is_progress_bar_enabled()


def test_a_run_is_resumed_by_the_options_in_its_own_folder(model_folder: Path, tmp_path: Path) -> None:
    trainer(model_folder, tmp_path, tasks=["zebra-mini", Echo], steps=1).train()
    again = Trainer(config=replace(TrainConfig.read(tmp_path / "config.yaml"), steps=2), callbacks=[])
    assert again.suite.names == ("zebra-mini", "Echo")
    assert again.train().step == 2


def test_an_evaluation_that_failed_is_made_when_the_run_is_resumed(
    model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = trainer(model_folder, tmp_path, steps=1)
    evaluate = own.agent.evaluate

    def failing(*arguments: Any, **options: Any) -> Any:
        if own.agent.step:
            raise TaskError("task 'a' raised")
        return evaluate(*arguments, **options)

    monkeypatch.setattr(own.agent, "evaluate", failing)
    with pytest.raises(TrainingError):
        own.train()
    again = trainer(model_folder, tmp_path, steps=1)
    assert again.train().is_finished
    assert [record["step"] for record in again.history.of("evaluation")] == [0, 1]


def test_only_the_newest_checkpoints_keep_what_a_run_resumes_from_and_the_others_are_played(
    model_folder: Path, tmp_path: Path
) -> None:
    options: dict[str, Any] = {"steps": 2, "keep_optimizer": 1, "keep_checkpoints": 2}
    first = trainer(model_folder, tmp_path, **options)
    first.train()
    first.close()
    older, newest = (first.folder.checkpoint(step) for step in (1, 2))
    assert [len(list(folder.glob("optimizer-*"))) for folder in (older, newest)] == [0, 1]
    again = trainer(model_folder, tmp_path, **options)
    again.agent.policy.load(older)
    assert len(again.evaluate().accuracies) == len(TASKS)
    again.close()
    shutil.rmtree(newest)
    with pytest.raises(
        FileNotFoundError, match=r"step-000001 holds no optimiser state.*with --keep-optimizer only the newest"
    ):
        _ = trainer(model_folder, tmp_path, **options).agent


def test_a_suite_of_the_held_out_split_is_refused(model_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="trained on its train split, got one of 'test'"):
        trainer(model_folder, tmp_path, tasks=read_tasks("mini", split="test"))


def test_options_that_are_no_config_are_named() -> None:
    with pytest.raises(ValueError, match=r"config must be a TrainConfig, got \{'steps': 3\}"):
        Trainer(config={"steps": 3})  # pyright: ignore[reportArgumentType]


def test_one_task_may_be_a_plain_string(tmp_path: Path) -> None:
    assert Trainer(tasks="arc-mini", out=tmp_path / "run").suite.names == ("arc-mini",)
    assert TrainConfig(tasks="arc-mini").tasks == ("arc-mini",)  # pyright: ignore[reportArgumentType]


def test_the_brakes_of_a_config_reach_the_parts_of_its_run(model_folder: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {"truncated": "mask", "filter": "reward", "max_replayed": 0.5, "max_step_kl": 1e-6}
    config = replace(CONFIG, **options, tasks=TASKS, out=tmp_path / "run", minibatches=4)
    trainer = Trainer(model_folder, config=config, callbacks=[])
    trainer.train()
    curriculum: Any = trainer.agent.curriculum
    assert curriculum.group_filter is rewards_differ
    assert curriculum.sampler.max_replayed == 0.5
    assert trainer.agent.change is mask_truncated
    for record in trainer.history.of("step"):
        assert record["replayed"] <= 0.5 * CONFIG.batch_size
        assert record["learner"].keys() >= {"step_kl", "skipped_minibatches"} or not sum(record["kept"])
