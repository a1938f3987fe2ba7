"""The history file: strict JSON, one object a line, and nothing of a step that will be made again."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mtgrpo_env.agents.checkpoints import RunRecord
from mtgrpo_env.agents.reports.history import RunHistory, nothing_learned, read_history, sound_records
from mtgrpo_env.agents.reports.lost_records import to_save
from mtgrpo_env.batch_metrics import TrainMetrics
from mtgrpo_env.evaluation import Evaluation

MakeReport = Callable[..., TrainMetrics]
MakeEvaluation = Callable[..., Evaluation]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "run" / "history.jsonl"


@pytest.fixture
def written(file: Path, make_report: MakeReport, make_evaluation: MakeEvaluation) -> list[dict[str, Any]]:
    """An evaluation, two steps, an evaluation, a third step; all in the file."""
    history = RunHistory(file, last_step=-1)
    history.add_evaluation(0, 0, make_evaluation(0.1, 0.2, 0.3))
    history.add_step(make_report(1))
    history.add_step(make_report(2))
    history.add_evaluation(2, 192, make_evaluation(0.2, 0.3, 0.4))
    history.add_step(make_report(3))
    return strictly_parsed(file)


def test_responses_without_a_verdict_are_recorded_where_there_are_some(
    file: Path, make_evaluation: MakeEvaluation
) -> None:
    history = RunHistory(file, last_step=-1)
    history.add_evaluation(0, 0, make_evaluation(0.1, 0.2))
    history.add_evaluation(1, 96, replace(make_evaluation(0.1, 0.2), invalid=np.array([0, 7])))
    assert [record.get("invalid") for record in strictly_parsed(file)] == [None, [0, 7]]


def strictly_parsed(file: Path) -> list[dict[str, Any]]:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return [json.loads(line, parse_constant=refuse) for line in file.read_text().splitlines()]


def test_a_step_is_recorded_with_every_field_of_its_report(written: list[dict[str, Any]]) -> None:
    assert written[1] == {
        "kind": "step",
        "step": 1,
        "probabilities": [1 / 3] * 3,
        "targets": [1, 2, 3],
        "kept": [3, 2, 1],
        "accepted": [1, 2, 3],
        "generated": [4, 8, 12],
        "rewards": [0.5] * 3,
        "accuracies": [0.25] * 3,
        "improvements": [-0.125] * 3,
        "loss_weights": [1.0] * 3,
        "actions": [10, 20, 30],
        "abs_advantages": [3.0, 6.0, 9.0],
        "rounds": 2,
        "replayed": 1,
        "rollouts": 96,
        "rollout_seconds": 0.5,
        "update_seconds": 0.25,
        "cpu_seconds": 1.0,
        "learner": {"loss": -0.125, "gradient_norm": 2.0},
    }


def test_an_evaluation_is_recorded_with_what_it_had_cost(written: list[dict[str, Any]]) -> None:
    assert written[3] == {
        "kind": "evaluation",
        "step": 2,
        "rollouts": 192,
        "accuracies": [0.2, 0.3, 0.4],
        "counts": [50, 50, 50],
    }


def test_records_are_read_back_in_order_and_by_kind(file: Path, written: list[dict[str, Any]]) -> None:
    assert read_history(file) == written
    history = RunHistory(file, last_step=3)
    assert [record["step"] for record in history.of("step")] == [1, 2, 3]
    assert [record["step"] for record in history.of("evaluation")] == [0, 2]


def test_what_cannot_be_written_in_json_becomes_null(
    file: Path, make_report: MakeReport, make_evaluation: MakeEvaluation
) -> None:
    history = RunHistory(file, last_step=-1)
    learner = {"loss": math.nan, "gradient_norm": math.inf}
    history.add_step(make_report(1, accuracies=np.array([0.5, np.nan, 1.0]), learner=learner))
    history.add_evaluation(1, 96, make_evaluation(0.5, math.nan, 1.0))
    step, evaluation = strictly_parsed(file)
    assert step["accuracies"] == evaluation["accuracies"] == [0.5, None, 1.0]
    assert step["learner"] == {"loss": None, "gradient_norm": None}
    assert history.records == [step, evaluation]


@pytest.mark.parametrize("last_step", [-1, 0, 1, 2, 3])
def test_steps_after_the_last_checkpoint_are_dropped_from_memory_and_file(
    file: Path, written: list[dict[str, Any]], last_step: int
) -> None:
    history = RunHistory(file, last_step=last_step)
    assert history.records == [record for record in written if record["step"] <= last_step]
    assert read_history(file) == history.records


def test_a_last_line_cut_short_anywhere_is_dropped_and_the_next_record_follows_cleanly(
    file: Path, written: list[dict[str, Any]], make_report: MakeReport
) -> None:
    whole = file.read_text()
    last_line = whole.splitlines()[-1]
    for kept in (1, len(last_line) // 2, len(last_line) - 1):
        file.write_text(whole[: len(whole) - 1 - len(last_line) + kept])
        assert read_history(file) == written[:-1]
        history = RunHistory(file, last_step=3)
        history.add_step(make_report(3))
        assert strictly_parsed(file) == written


def test_a_last_line_that_lacks_its_newline_alone_is_kept_and_not_run_into(
    file: Path, written: list[dict[str, Any]], make_report: MakeReport
) -> None:
    file.write_text(file.read_text().removesuffix("\n"))
    RunHistory(file, last_step=3).add_step(make_report(4))
    assert [record["step"] for record in strictly_parsed(file)] == [0, 1, 2, 2, 3, 4]


def test_a_broken_line_in_the_middle_is_named_kept_aside_and_left_out(
    file: Path, written: list[dict[str, Any]], caplog: pytest.LogCaptureFixture
) -> None:
    lines = file.read_text().splitlines()
    lines[1] = lines[1][:20]
    file.write_text("\n".join(lines) + "\n")
    damaged = file.read_bytes()
    with pytest.raises(ValueError, match=r"history\.jsonl, line 2: expected a JSON object"):
        read_history(file)
    RunHistory(file, last_step=3, writes=False)
    assert file.read_bytes() == damaged, "a file that is read only stays as it is"
    history = RunHistory(file, last_step=3)
    aside = file.with_name("history.jsonl.damaged")
    assert f"{file}: expected a record in each line, not so in 2: kept as {aside}" in caplog.text
    assert aside.read_bytes() == damaged
    assert history.records == read_history(file) == [*written[:1], *written[2:]]


ODD_LINES = [
    *("[]", "7", "null", "\x00\x00", "{", "\x1b[2K", "[" * 100_000),
    *('{"kind": "step"}', '{"step": 1}', '{"kind": ["step"], "step": 1}', '{"kind": "other", "step": 1}'),
    *(f'{{"kind": "step", "step": {step}}}' for step in ("true", "-1", '"1"', "1.5", "null", 2**63, "[]")),
    '{"kind": "evaluation", "step": 1}',
    '{"kind": "evaluation", "step": 1, "accuracies": "high", "counts": [1]}',
    '{"kind": "evaluation", "step": 1, "accuracies": [true], "counts": [1]}',
    '{"kind": "evaluation", "step": 1, "accuracies": [NaN], "counts": [1]}',
    '{"kind": "evaluation", "step": 1, "accuracies": [[0.5]], "counts": [1]}',
    '{"kind": "step", "step": 1, "learner": [1]}',
    '{"kind": "step", "step": 1, "accepted": [-1]}',
    '{"kind": "lost", "step": 1, "steps": 1, "has_learned": true}',
    '{"kind": "chance", "step": 0, "guess": [0.5]}',
]


@pytest.mark.parametrize("line", ODD_LINES, ids=range(len(ODD_LINES)))
def test_an_odd_line_is_named_and_left_out_of_a_resumed_run(
    file: Path, written: list[dict[str, Any]], line: str
) -> None:
    file.write_text(f"{line}\n" + file.read_text())
    with pytest.raises(ValueError, match=r"history\.jsonl, line 1: expected [^\n]*$"):
        read_history(file)
    assert RunHistory(file, last_step=3).records == written
    assert file.with_name("history.jsonl.damaged").read_text().startswith(line)


@pytest.mark.parametrize("line", ["[]", "7", "null", '{"step": "1"}', "\x00\x00", "{", "\x1b[2K"])
def test_a_line_that_is_no_record_is_damage(file: Path, written: list[dict[str, Any]], line: str) -> None:
    file.write_text(f"{line}\n" + file.read_text())
    assert sound_records(file) == (written, [1])


def test_what_the_file_lost_is_taken_from_the_checkpoint_or_said_to_be_lost(
    file: Path, written: list[dict[str, Any]], caplog: pytest.LogCaptureFixture
) -> None:
    evaluations = [record for record in written if record["kind"] == "evaluation"]
    saved = RunRecord({"package": {}}, evaluations)
    whole = RunHistory(file, last_step=2, saved=saved)
    assert (whole.records, caplog.text) == ([record for record in written if record["step"] <= 2], "")
    file.unlink()
    rebuilt = RunHistory(file, last_step=2, saved=saved)
    assert "the numbers of 2 of 2 steps are lost; 2 other records are taken from the checkpoint" in caplog.text
    assert rebuilt.of("evaluation") == evaluations
    assert rebuilt.of("lost") == [{"kind": "lost", "step": 2, "steps": [1, 2], "has_learned": True}]
    assert rebuilt.best_evaluation() == whole.best_evaluation()
    caplog.clear()
    again = RunHistory(file, last_step=2, saved=RunRecord({"package": {}}, to_save(rebuilt.records)))
    assert (again.records, caplog.text) == (rebuilt.records, ""), "it is said once"


def test_an_evaluation_that_was_altered_is_as_the_checkpoint_has_it(file: Path, written: list[dict[str, Any]]) -> None:
    evaluations = [record for record in written if record["kind"] == "evaluation"]
    altered = [{**evaluations[0], "accuracies": [1.0, 1.0]}, *evaluations[1:]]
    history = RunHistory(file, last_step=3, saved=RunRecord({"package": {}}, altered))
    assert history.of("evaluation") == altered
    assert len(history.of("step")) == len([record for record in written if record["kind"] == "step"])


def test_no_file_is_an_empty_history(tmp_path: Path) -> None:
    assert read_history(tmp_path / "none.jsonl") == []


def test_nothing_but_the_history_is_left_in_the_folder(file: Path, written: list[dict[str, Any]]) -> None:
    assert written
    assert [path.name for path in file.parent.iterdir()] == ["history.jsonl"]


def test_the_best_evaluation_is_the_earliest_with_the_best_worst_task_after_training(
    file: Path, make_evaluation: MakeEvaluation
) -> None:
    history = RunHistory(file, last_step=-1)
    history.add_evaluation(0, 0, make_evaluation(0.9, 0.9, 0.9))
    assert history.best_evaluation() is None
    expected = {1: 1, 2: 2, 3: 2, 4: 2, 5: 5}
    accuracies = [(0.1, 0.9, 0.9), (0.3, 0.3, 0.3), (0.2, 1.0, 1.0), (1.0, 0.3, 0.9), (math.nan, 0.4, 0.5)]
    for step, tasks in enumerate(accuracies, start=1):
        history.add_evaluation(step, 96, make_evaluation(*tasks))
        best = history.best_evaluation()
        assert best is not None
        assert best["step"] == expected[step]


@pytest.mark.parametrize(("accepted", "replayed", "is_learned"), [(0, 0, False), (1, 0, True), (0, 1, True)])
def test_where_no_group_was_informative_nothing_was_learned_and_no_evaluation_is_the_best(
    file: Path, make_report: MakeReport, make_evaluation: MakeEvaluation, accepted: int, replayed: int, is_learned: bool
) -> None:
    history = RunHistory(file, last_step=-1)
    history.add_evaluation(0, 0, make_evaluation(0.5, 0.5, 0.5))
    assert nothing_learned(history.records) is None, "nothing has begun"
    for step in (1, 2):
        history.add_step(make_report(step, accepted=np.array([0, 0, accepted]), replayed=replayed))
        history.add_evaluation(step, 96 * step, make_evaluation(0.5, 0.5, 0.5))
    assert (nothing_learned(history.records) is None) == is_learned
    assert (history.best_evaluation() is not None) == is_learned


def test_where_no_response_was_ever_correct_no_evaluation_is_the_best(
    file: Path, make_report: MakeReport, make_evaluation: MakeEvaluation
) -> None:
    history = RunHistory(file, last_step=-1)
    history.add_evaluation(0, 0, make_evaluation(0.0, math.nan))
    history.add_step(make_report(1, 2))
    history.add_evaluation(1, 96, make_evaluation(0.0, math.nan))
    assert nothing_learned(history.records) == "no response was correct in any of 2 evaluations"
    assert history.best_evaluation() is None
    history.add_evaluation(2, 192, make_evaluation(0.0, 0.1))
    assert history.best_evaluation() is not None


def test_lengths_and_truncation_of_an_evaluation_are_recorded_where_they_are_known(
    file: Path, make_evaluation: MakeEvaluation
) -> None:
    history = RunHistory(file, last_step=-1)
    evaluation = make_evaluation(0.5, 0.5)
    history.add_evaluation(0, 0, evaluation)
    history.add_evaluation(
        1, 0, replace(evaluation, mean_lengths=np.array([3.5, math.nan]), truncated_shares=np.ones(2))
    )
    first, second = read_history(file)
    assert not first.keys() & {"mean_lengths", "truncated_shares"}
    assert (second["mean_lengths"], second["truncated_shares"]) == ([3.5, None], [1.0, 1.0])


def test_what_an_evaluation_lost_is_recorded(file: Path, make_evaluation: MakeEvaluation) -> None:
    history = RunHistory(file, last_step=-1)
    evaluation = make_evaluation(0.5, 0.5)
    history.add_evaluation(0, 0, replace(evaluation, left_out=np.zeros(2, dtype=np.int64)))
    history.add_evaluation(1, 0, replace(evaluation, left_out=np.array([0, 3]), invalid=np.array([2, 0])))
    first, second = read_history(file)
    assert not first.keys() & {"left_out", "invalid"}
    assert (second["left_out"], second["invalid"]) == ([0, 3], [2, 0])
