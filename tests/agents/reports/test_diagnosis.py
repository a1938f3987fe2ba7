"""What a diagnosis finds in histories that one thing is wrong with, and that it finds nothing in a good one."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from pages import parsed, write_run

from mtgrpo_env.agents.config import TrainConfig
from mtgrpo_env.agents.reports.diagnosis import RULES, Finding, diagnose
from mtgrpo_env.agents.reports.diagnosis.evidence import Evidence
from mtgrpo_env.agents.reports.diagnosis.finding import SEVERITIES, Chart
from mtgrpo_env.agents.reports.diagnosis.text import diagnosis_lines
from mtgrpo_env.agents.reports.figure_diagnosis import draw_findings
from mtgrpo_env.agents.reports.page.content import StoredRun, content_of_runs, read_run
from mtgrpo_env.agents.reports.page.document import page
from mtgrpo_env.cli import _COMMANDS

TASKS = ("sums", "words", "maps")
NUM_STEPS = 30
Record = dict[str, Any]
Spoil = Callable[[Record], None]


def evaluation(step: int, **changed: Any) -> Record:
    accuracies = (np.array([0.4, 0.3, 0.2]) + 0.012 * step).tolist()
    values = {"accuracies": accuracies, "counts": [300] * 3, "mean_lengths": [8.0] * 3, "truncated_shares": [0.0] * 3}
    return {"kind": "evaluation", "step": step, "rollouts": 128 * step, **values, **changed}


def training_step(step: int) -> Record:
    generated = np.array([6, 6, 6])
    responses = 8 * generated
    return {
        "kind": "step",
        "step": step,
        "probabilities": [0.3, 0.3, 0.4],
        "targets": [5, 5, 6],
        "kept": [5, 5, 6],
        "accepted": [3, 3, 3],
        "generated": generated.tolist(),
        "accuracies": [0.5, 0.4, 0.3],
        "loss_weights": [1.0] * 3,
        "replayed": 4,
        "responses": responses.tolist(),
        "lengths": (8 * responses).tolist(),
        "truncated": [0] * 3,
        "surprisals": (4.0 * responses).tolist(),
        "scored_tokens": (8 * responses).tolist(),
        "unanimous": [3] * 3,
        "learner": {"gradient_norm": 0.8, "step_kl": 0.004, "log_ratio": 0.05, "ratio_gap": 0.001},
    }


def run_of(spoil: Spoil = lambda record: None, **options: Any) -> StoredRun:
    """A run that learns, but for what is done to its records."""
    records = [{"kind": "chance", "step": 0, "guess": [0.1, None, 0.05], "constant": [0.2, 0.01, 0.0]}]
    records[0]["constant_names"] = ["always 9", "always abc", ""]
    records.append(evaluation(0))
    for step in range(1, NUM_STEPS + 1):
        records.append(training_step(step))
        if step % 5 == 0:
            records.append(evaluation(step))
    for record in records:
        spoil(record)
    return StoredRun(
        Path("runs/spoiled"), TASKS, {"lr": 1e-3, "max_new_tokens": 16, "steps": NUM_STEPS, **options}, records
    )


def steps(change: Callable[[Record], Record]) -> Spoil:
    """Other fields of the training steps, from each record."""
    return lambda record: record.update(change(record)) if record["kind"] == "step" else None


def evaluations(change: Callable[[Record], Record]) -> Spoil:
    """The same of the evaluations."""
    return lambda record: record.update(change(record)) if record["kind"] == "evaluation" else None


def learner(**scalars: Any) -> Spoil:
    return steps(lambda record: {"learner": record["learner"] | scalars})


def both(first: Spoil, second: Spoil) -> Spoil:
    def apply(record: Record) -> None:
        first(record)
        second(record)

    return apply


def is_late(record: Record) -> bool:
    return record["step"] > NUM_STEPS // 2


@dataclass(frozen=True, kw_only=True)
class Case:
    """What is wrong, what it is called, some of what is said, and the options that help."""

    spoil: Spoil = lambda record: None
    config: dict[str, Any] = field(default_factory=dict)
    name: str
    seen: str
    options: set[str]


CASES = {
    "no_verdict": Case(
        spoil=evaluations(lambda record: {"invalid": [0, 240, 0], "counts": [300, 60, 300]}),
        name="words has invalid verdicts",
        seen="the scorer failed on 1680 of 2100 held-out responses (80%, steps 0 to 30)",
        options={"reward"},
    ),
    "cut_off": Case(
        spoil=both(
            steps(lambda record: {"truncated": [40, 0, 48]}),
            evaluations(lambda record: {"truncated_shares": [0.8, 0.0, 0.9]}),
        ),
        name="responses are cut off",
        seen="61% of the responses in training (sums 83%, maps 100%; steps 21 to 30), 57% at first",
        options={"max_new_tokens", "system", "truncated"},
    ),
    "no_gradient": Case(
        spoil=steps(lambda record: {"accepted": [0] * 3, "replayed": 0, "kept": [0] * 3, "learner": {}}),
        name="nothing was learned",
        seen="no group of 30 steps was informative, but the rewards of 270 of 540 differ",
        options={"tasks", "group_size", "examples"},
    ),
    "not_finite": Case(
        spoil=learner(gradient_norm=None),
        config={"dtype": "bfloat16"},
        name="gradients are not finite",
        seen="in 30 of 30 steps, first in step 1",
        options={"lr", "dtype"},
    ),
    "fallen": Case(
        spoil=evaluations(lambda record: {"accuracies": [0.1] * 3} if is_late(record) else {}),
        name="collapse",
        seen="the average went from 48.0% at step 15 to 10.0% at step 30, the worst task from 38.0% to 10.0%",
        options={"lr", "lr_schedule", "kl_coef"},
    ),
    "too_far": Case(
        spoil=steps(lambda record: {"replayed": 0, "learner": record["learner"] | {"step_kl": 0.4}}),
        name="the learning rate is too high",
        seen="30 of 30 steps on fresh rollouts moved the policy by more than 0.05 nats a token, the median by 0.4",
        options={"lr", "warmup_steps", "max_step_kl"},
    ),
    "certain": Case(
        spoil=steps(lambda record: {"surprisals": [1.0] * 3, "unanimous": [5] * 3} if is_late(record) else {}),
        name="the policy has become certain",
        seen="entropy 0.500 in steps 1 to 10, 0.003 in steps 21 to 30, where 83% of the groups had equal rewards",
        options={"lr", "kl_coef"},
    ),
    "too_little": Case(
        spoil=both(
            learner(log_ratio=1e-5, ratio_gap=1e-6), evaluations(lambda record: {"accuracies": [0.4, 0.3, 0.2]})
        ),
        name="the learning rate is too low",
        seen="by 9e-06 (median of 30 steps), and the average accuracy by +0.0 points",
        options={"lr"},
    ),
    "clipped": Case(
        config={"max_grad_norm": 0.01},
        name="gradients are clipped",
        seen="norms of 0.8 (median of 30 steps) are scaled down to 0.01",
        options={"max_grad_norm", "lr"},
    ),
    "few_informative": Case(
        spoil=steps(lambda record: {"accepted": [1] * 3}),
        config={"group_size": 2},
        name="few informative groups",
        seen="30 of 180 groups of 2 rollouts had a gradient (17%, steps 21 to 30)",
        options={"group_size", "tasks"},
    ),
    "starved": Case(
        spoil=steps(lambda record: {"accepted": [6, 6, 0], "kept": [8, 8, 0], "accuracies": [0.5, 0.4, 0.0]}),
        name="starved, out of reach: maps",
        seen="informative were 0 of 60 groups of maps, of whose rollouts 0% were right (steps 21 to 30)",
        options={"tasks", "examples", "filter"},
    ),
    "short_of_target": Case(
        spoil=steps(lambda record: {"kept": [7, 7, 2]}),
        config={"method": "mt-grpo"},
        name="maps is short of its target",
        seen="maps is 12% of what is trained on, its weight asks for 38% (steps 21 to 30)",
        options={"group_size", "tasks", "method"},
    ),
    "replayed": Case(
        spoil=steps(lambda record: {"replayed": 12}),
        name="most of the batch is old",
        seen="120 of 160 groups trained on were generated for earlier batches (75%, steps 21 to 30)",
        options={"max_replayed", "group_size"},
    ),
    "lengths": Case(
        spoil=steps(lambda record: {"lengths": [48 * (8 + record["step"])] * 3}),
        name="responses become longer",
        seen="13.5 in steps 1 to 10, 33.5 in steps 21 to 30",
        options={"truncated"},
    ),
    "constant": Case(
        spoil=evaluations(lambda record: {"accuracies": [0.2, 0.3 + 0.02 * record["step"], 0.2]}),
        name="sums is no better than a constant answer",
        seen='20.0% on 300 problems at step 30, where answering "always 9" has 20.0%',
        options={"tasks", "eval_problems"},
    ),
    "noise": Case(
        spoil=evaluations(lambda record: {"counts": [5] * 3, "accuracies": [0.4, 0.4, 0.4]}),
        name="the evaluation is too small",
        seen="the average changed by +0.0 points from step 0 to 30, on 5 problems a task: less than its noise of 35.1",
        options={"eval_problems"},
    ),
}
"""By the function of the rule."""


def findings_of(rule: str) -> list[Finding]:
    return diagnose(run_of(CASES[rule].spoil, **CASES[rule].config))


def test_a_run_that_learns_has_nothing_wrong() -> None:
    run = run_of()
    assert diagnose(run) == []
    assert list(diagnosis_lines(run, [])) == [
        "runs/spoiled: step 30 of 30, 7 evaluations, 3 tasks",
        "Nothing is wrong that the history shows.",
    ]


@pytest.mark.parametrize("rule", [rule.find.__name__ for rule in RULES])
def test_every_rule_finds_what_it_looks_for_first_and_names_options_that_exist(rule: str) -> None:
    case, (worst, *_) = CASES[rule], findings_of(rule)
    assert worst.name == case.name
    assert case.seen in worst.seen
    assert set(worst.options) == case.options
    assert case.options <= {field.name for field in fields(TrainConfig)}


def test_all_that_is_found_names_options_and_commands_that_exist() -> None:
    found = [finding for rule in CASES for finding in findings_of(rule)]
    assert {name for finding in found for name in finding.options} <= {field.name for field in fields(TrainConfig)}
    commands = {word for finding in found for word in re.findall(r"mtgrpo ([a-z]+)", finding.advice)}
    assert commands <= set(_COMMANDS)
    assert all(finding.options for finding in found)


@pytest.mark.parametrize("rule", CASES)
def test_no_option_is_advised_to_be_what_it_is(rule: str) -> None:
    case, (found, *_) = CASES[rule], findings_of(rule)
    for option, value in re.findall(r"--([a-z-]+) (\w[\w.-]*)", found.advice):
        name = option.replace("-", "_")
        if name not in {"filter", "truncated", "lr_schedule", "kl_coef", "max_step_kl", "dtype", "method"}:
            continue
        given = float(value) if value[0].isdigit() else value
        (again, *_) = diagnose(run_of(case.spoil, **{**case.config, name: given}))
        assert f"--{option} {value}" in found.advice
        assert again.name == found.name
        assert f"--{option} {value}" not in again.advice
        assert again.options


def test_the_worst_comes_first_and_what_follows_from_it_is_not_named() -> None:
    change = both(CASES["fallen"].spoil, both(CASES["starved"].spoil, CASES["too_far"].spoil))
    findings = diagnose(run_of(change))
    assert [finding.name for finding in findings] == ["collapse", "the learning rate is too high"]
    ranks = [SEVERITIES.index(finding.severity) for finding in findings]
    assert ranks == sorted(ranks)
    assert "starved, out of reach: maps" in [finding.name for finding in findings_of("starved")]


def test_responses_that_were_not_cut_off_at_first_have_grown() -> None:
    (finding,) = diagnose(run_of(steps(lambda record: {"truncated": [30] * 3} if is_late(record) else {})))
    assert finding.name == "responses have grown until they are cut off"
    assert finding.options == ("truncated",)


def test_a_solved_task_is_only_worth_a_look() -> None:
    solved = steps(lambda record: {"accepted": [0, 6, 6], "kept": [0, 8, 8], "accuracies": [1.0, 0.4, 0.3]})
    (finding,) = diagnose(run_of(solved))
    assert (finding.name, finding.severity) == ("starved, solved: sums", "worth a look")


def test_a_few_problems_or_old_rollouts_say_nothing_of_chance_or_of_a_step() -> None:
    few = both(CASES["constant"].spoil, evaluations(lambda record: {"counts": [10, 300, 300]}))
    assert "constant" not in " ".join(finding.name for finding in diagnose(run_of(few)))
    assert diagnose(run_of(learner(step_kl=0.4))) == []


def test_a_fall_within_the_noise_of_the_evaluation_is_none() -> None:
    fall = evaluations(lambda record: {"accuracies": [0.5, 0.4, 0.25]} if record["step"] == 30 else {})
    assert "accuracy falls" in [finding.name for finding in diagnose(run_of(fall))]
    noisy = both(fall, evaluations(lambda record: {"counts": [20] * 3}))
    assert "accuracy falls" not in [finding.name for finding in diagnose(run_of(noisy))]


def test_every_chart_that_is_named_is_on_the_page_of_a_run(tmp_path: Path) -> None:
    run = read_run(write_run(tmp_path / "run"), lambda _, __: ("countdown-mini", "zebra-mini", "arc-mini"))
    shown = parsed(page(content_of_runs([run], thresholds=(0.5,), answer_of=lambda sample: None)))
    assert set(get_args(Chart)) <= set(shown.texts["h2"])


def test_findings_are_drawn_each_in_a_panel(tmp_path: Path) -> None:
    found = [finding for rule in CASES for finding in findings_of(rule)]
    assert all(len(curve.steps) == len(curve.values) > 1 for finding in found for curve in finding.curves)
    draw_findings(found[:5], tmp_path / "found.png")
    assert (tmp_path / "found.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ValueError, match="expected at least one finding to draw"):
        draw_findings([], tmp_path / "none.png")


def test_a_history_of_an_earlier_version_is_looked_at_as_far_as_it_goes() -> None:
    known = ("kind", "step", "probabilities", "targets", "kept", "accepted", "generated", "accuracies")

    def forget(record: Record) -> None:
        kept = {name: record[name] for name in known if name in record}
        record.clear()
        record.update(kept)

    before = steps(lambda record: {})
    assert diagnose(run_of(lambda record: forget(record) if record["kind"] == "step" else before(record))) == []


def test_a_run_without_a_step_is_refused() -> None:
    run = run_of()
    with pytest.raises(ValueError, match="holds a run without a training step"):
        Evidence.of(replace(run, records=run.records[:2]))


def test_a_diagnosis_needs_no_torch() -> None:
    code = "import mtgrpo_env.cli.diagnose, sys; assert not {'torch', 'transformers', 'matplotlib'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
