"""`benchmark(...)` from Python: agents and suites of one's own, on text and on Gymnasium envs."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from fakes import ScriptedPolicy, Sum, guess_suite

from mtgrpo_env.envs.mtreason import reason_suite
from mtgrpo_env.envs.toy import toy_suite
from mtgrpo_env.experiments.agent_options import EndpointOptions
from mtgrpo_env.experiments.benchmark import benchmark
from mtgrpo_env.experiments.benchmark_callback import BenchmarkCallback
from mtgrpo_env.experiments.benchmark_result import Benchmark, Skipped
from mtgrpo_env.experiments.failures import AgentError
from mtgrpo_env.extras import MissingPackageError
from mtgrpo_env.problem_sets import ProblemSet
from mtgrpo_env.suite import TaskSuite


def zeros() -> ScriptedPolicy:
    """Answers every text with 0 in a box."""
    return ScriptedPolicy(lambda observation, task_id, episode: r"\boxed{0}")


def accuracies(result: Benchmark) -> dict[tuple[str, str], float]:
    return {(cell.agent, cell.suite): cell.scores.average.mean for cell in result.cells}


def test_a_policy_plays_text_beside_the_baselines_and_the_worst_task_stands_first() -> None:
    result = benchmark(["oracle", "random", zeros()], "zebra-mini,countdown-mini", problems=20)
    agents = ["oracle", "random", "ScriptedPolicy"]
    assert list(accuracies(result)) == [(name, "zebra-mini,countdown-mini") for name in agents]
    title, header, worst, average, *tasks, note = str(result).splitlines()
    assert title.startswith("zebra-mini,countdown-mini, problem set ")
    assert header.split() == [*agents, "guess", "best", "constant", "problems"]
    assert note.startswith("best constant: zebra-mini always ")
    assert worst.startswith("worst task")
    assert average.startswith("average")
    assert [line.split()[0] for line in tasks] == ["countdown-mini", "zebra-mini"]
    assert len({len(line) for line in (header, worst, average, *tasks)}) == 1


def test_a_policy_plays_gymnasium_envs_and_an_agent_that_cannot_is_named() -> None:
    still = ScriptedPolicy(lambda observation, task_id, episode: "" if isinstance(observation, str) else 0)
    result = benchmark({"still": still, "oracle": "oracle"}, ["gym:CartPole-v1", "arc-mini"], problems=2, rollouts=2)
    assert set(accuracies(result)) == {("still", "gym:CartPole-v1"), ("oracle", "arc-mini")} | {("still", "arc-mini")}
    (skipped,) = result.skipped
    assert (skipped.agent, skipped.suite) == ("oracle", "gym:CartPole-v1")
    assert str(result).splitlines()[-1] == f"oracle: {skipped.reason}"
    (cell, *_) = result.cells
    assert cell.scores.tasks[0].rollouts == 4
    assert cell.scores.tasks[0].reward < 15


def test_what_makes_a_policy_is_given_each_suite() -> None:
    given: list[TaskSuite] = []

    def first_action(suite: TaskSuite) -> ScriptedPolicy:
        given.append(suite)
        return ScriptedPolicy(lambda observation, task_id, episode: 0)

    suites = {"two": toy_suite(2), "three": toy_suite(3)}
    result = benchmark(first_action, suites, problems=1)
    assert given == [*suites.values()]
    assert list(accuracies(result)) == [("first_action", "two"), ("first_action", "three")]


def test_suites_and_problem_sets_are_played_as_they_are() -> None:
    suite = guess_suite([0.9, 0.1])
    problem_set = ProblemSet("ten", suite, tuple(suite.held_out(5)))
    guess = ScriptedPolicy(lambda observation, task_id, episode: 0)
    of_suite, of_set = (benchmark(guess, one, problems=5).cells[0] for one in (suite, problem_set))
    assert of_suite.suite == ",".join(suite.names)
    assert of_set.suite == "ten"
    assert of_suite.fingerprint == of_set.fingerprint


def test_a_task_class_of_ones_own_is_a_suite() -> None:
    result = benchmark("oracle", Sum, problems=3)
    assert accuracies(result) == {("oracle", "Sum"): 1.0}


def test_names_stay_apart_and_what_is_given_twice_is_played_once() -> None:
    one, other = zeros(), zeros()
    result = benchmark(["random", one, other, one, "random"], ["arc-mini", reason_suite(["arc-mini"])], problems=1)
    assert {agent for agent, _ in accuracies(result)} == {"random", "ScriptedPolicy", "ScriptedPolicy (2)"}
    assert {suite for _, suite in accuracies(result)} == {"arc-mini", "arc-mini (2)"}


def test_a_path_of_rows_is_played_whole_and_a_name_of_rows_in_its_held_out_part(tmp_path: Path) -> None:
    row = {"task": "zebra", "prompt": "Who?", "ground_truth": {"target": "0"}}
    held_out = {**row, "prompt": "Who else?", "ground_truth": {"target": "1"}, "split": "test"}
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(one) + "\n" for one in ({**row, "split": "train"}, held_out)))
    whole, part = (benchmark(zeros(), one) for one in (file, str(file)))
    assert [one.to_json()["cells"][0]["average"] for one in (whole, part)] == [0.5, 0.0]


def test_the_same_call_gives_the_same_numbers_and_a_report(tmp_path: Path) -> None:
    first, again = (benchmark("random", "arc-mini", problems=10, seed=3) for _ in range(2))
    assert str(first) == str(again)
    first.write(tmp_path / "report")
    written = json.loads((tmp_path / "report" / "benchmark.json").read_text())
    assert written == first.to_json()
    assert written["command"] == "benchmark(['random'], ['arc-mini'], problems=10, rollouts=1, seed=3)"
    assert (tmp_path / "report" / "benchmark.md").read_text() == first.markdown(figure="benchmark.png")
    assert (tmp_path / "report" / "benchmark.png").read_bytes().startswith(b"\x89PNG")


class Recorder(BenchmarkCallback):
    def __init__(self) -> None:
        self.events: list[str] = []

    def on_start(self, agent: str, problem_set: ProblemSet) -> None:
        self.events.append(f"start {agent} {problem_set.name}")

    def on_response(self) -> None:
        self.events.append("response")

    def on_problem(self) -> None:
        self.events.append("problem")

    def on_skip(self, skipped: Skipped) -> None:
        self.events.append(f"skip {skipped.agent}")

    def on_cell(self, cell: Any) -> None:
        self.events.append(f"cell {cell.agent}")


class Streaming(ScriptedPolicy):
    """Gives its responses one by one."""

    def stream(
        self, observations: Sequence[Any], task_ids: Sequence[int], *, deterministic: bool = False
    ) -> Iterator[tuple[int, Any, Any]]:
        actions, extras = self.act(observations, task_ids, deterministic=deterministic)
        yield from zip(range(len(actions)), actions, extras, strict=True)


def test_a_callback_follows_responses_problems_and_results_and_nothing_is_printed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    recorder = Recorder()
    policy = Streaming(lambda observation, task_id, episode: r"\boxed{0}")
    benchmark({"own": policy}, "arc-mini", problems=1, callback=recorder)
    benchmark("oracle", "control", problems=1, callback=recorder)
    of_own = ["start own arc-mini", "response", "problem", "cell own"]
    assert recorder.events == [*of_own, "start oracle control", "skip oracle"]
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("agents", "suites", "options", "complaint"),
    [
        (3, "mini", {}, "an agent must be a name, a policy with a method act, or what makes one, got 3"),
        (lambda suite: None, "mini", {}, "must make a policy with a method act, got None"),
        ("oracle", "mniature", {}, "task must be one of"),
        ("oracle", "mini", {"rollouts": 0}, "rollouts must be at least 1, got 0"),
        ("oracle", "mini", {"problems": 0}, "problems must be at least 1, got 0"),
        ("oracle", "mini", {"seed": -1}, "seed must be at least 0, got -1"),
        ("oracle", "mini", {"temperature": -1.0}, "temperature must be at least 0, got -1.0"),
        ("oracle", "mini", {"temperature": float("nan")}, "temperature must be at least 0, got nan"),
        ("oracle", "mini", {"vllm_memory": 2.0}, "vllm_memory must be above 0 and at most 1, got 2.0"),
        ("orcale", "mini", {}, "there is no agent 'orcale'; did you mean 'oracle'?"),
        ("oracle", toy_suite(2), {"problems": 0}, "problems must be at least 1, got 0"),
        ("oracle", "mini", {"endpoint": EndpointOptions(retries=-1)}, "retries must be at least 0, got -1"),
        ("oracle", [], {}, "expected at least one agent and one suite"),
        ([], "mini", {}, "expected at least one agent and one suite"),
    ],
)
def test_what_cannot_be_played_is_refused_before_anything_is(
    agents: Any, suites: Any, options: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(complaint)):
        benchmark(agents, suites, **options)


def test_nothing_played_says_why() -> None:
    result = benchmark("oracle", "gym:CartPole-v1", problems=1)
    assert result.cells == ()
    assert str(result) == "oracle: this agent plays text tasks, but CartPole-v1 of gym:CartPole-v1 are none"


class Broken:
    """Fails on every text."""

    def act(self, *_: Any, **__: Any) -> Any:
        raise KeyError("no answer")


def test_an_agent_that_fails_is_one_line_and_the_others_play(tmp_path: Path) -> None:
    recorder = Recorder()
    suites = ["arc-mini", "zebra-mini"]
    result = benchmark(["random", Broken(), zeros()], suites, problems=2, out=tmp_path / "out", callback=recorder)
    assert {agent for agent, _ in accuracies(result)} == {"random", "ScriptedPolicy"}
    assert [(one.agent, one.suite, one.failed) for one in result.skipped] == [("Broken", s, True) for s in suites]
    assert recorder.events.count("skip Broken") == 2
    line = r"Broken failed on zebra-mini: KeyError: 'no answer' \(test_benchmark\.py, line \d+\)"
    assert re.fullmatch(line, str(result).splitlines()[-1])
    page, written = (
        (tmp_path / "out" / "benchmark.md").read_text(),
        json.loads((tmp_path / "out" / "benchmark.json").read_text()),
    )
    assert re.fullmatch(f"- {line}", page.splitlines()[-1])
    assert "| `Broken` | - | - | - | - |" in page
    assert [row[0] for row in result.leaderboard("arc-mini")] == ["agent", "random", "ScriptedPolicy", "Broken"]
    assert [one["agent"] for one in written["skipped"]] == ["Broken", "Broken"]


def test_where_no_agent_played_the_last_error_is_raised_as_one_that_says_whose_it_was() -> None:
    with pytest.raises(AgentError, match=r"^Broken failed on arc-mini: KeyError: 'no answer'") as caught:
        benchmark(Broken(), "arc-mini", problems=1)
    assert isinstance(caught.value.__cause__, KeyError)


def test_a_policy_that_leaves_the_process_fails_alone() -> None:
    def leave(*_: Any) -> str:
        sys.exit(3)

    result = benchmark([ScriptedPolicy(leave), "random"], "arc-mini", problems=1)
    (skipped,) = result.skipped
    assert skipped.reason.startswith("SystemExit: 3 (test_benchmark.py, line ")
    assert list(accuracies(result)) == [("random", "arc-mini")]


def test_an_interrupt_is_no_failure_of_an_agent() -> None:
    def interrupt(*_: Any) -> str:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        benchmark([ScriptedPolicy(interrupt), "random"], "arc-mini", problems=1)


@pytest.mark.parametrize(
    ("package", "agent", "options", "complaint"),
    [
        ("matplotlib", "random", {"out": "report"}, r"the figure of a report needs matplotlib: .*'\.\[plot\]'"),
        ("openai", "openai:m@http://127.0.0.1:9", {}, r"a model behind an endpoint needs openai: .*'\.\[endpoints\]'"),
        ("vllm", "vllm:owner/name", {}, r"the agent 'vllm:owner/name' needs vllm: .*'\.\[gpu\]'"),
        ("torch", "hf:owner/name", {}, r"a checkpoint as an agent needs torch: .*'\.\[train\]'"),
    ],
)
def test_a_package_that_is_needed_in_the_end_is_missed_before_anything_is_played(
    package: str, agent: str, options: dict[str, Any], complaint: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, package, None)
    for module in ("agents.endpoints.openai_server", "agents.llm.devices"):
        monkeypatch.delitem(sys.modules, f"mtgrpo_env.{module}", raising=False)
    recorder = Recorder()
    with pytest.raises(MissingPackageError, match=complaint):
        benchmark(["random", agent], "arc-mini", problems=1, callback=recorder, **options)
    assert not recorder.events


def test_a_baseline_is_compared_on_the_problems_that_both_played(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    benchmark(zeros(), ["zebra-mini,countdown-mini"], problems=10, out=tmp_path / "old")
    result = benchmark(["oracle"], ["zebra-mini,countdown-mini"], problems=15, baseline=tmp_path / "old")
    assert "zebra-mini,countdown-mini: compared on the 20 of 30 problems that a baseline played too" in caplog.text
    (difference,) = result.differences
    assert (difference.own.agent, difference.baseline.agent) == ("oracle", "ScriptedPolicy")
    assert [task.problems for task in difference.tasks] == [10, 10]
    assert difference.worst.counts
    assert "oracle against ScriptedPolicy on zebra-mini,countdown-mini" in str(result)
    assert "## oracle against ScriptedPolicy on zebra-mini,countdown-mini" in result.markdown()
    assert result.to_json()["differences"] == [difference.to_json()]


@pytest.mark.parametrize(
    "options", [{"seed": 1}, {"suites": "arc-mini"}, {"extraction": "released"}], ids=["seed", "suite", "extraction"]
)
def test_a_baseline_of_other_problems_is_refused_before_anything_is_played(
    options: dict[str, Any], tmp_path: Path
) -> None:
    benchmark("oracle", "zebra-mini", problems=5, out=tmp_path)
    recorder = Recorder()
    with pytest.raises(ValueError, match=r"benchmark\.json: holds none of the problems of .*: .* equal problems"):
        benchmark("oracle", **{"suites": "zebra-mini", **options}, problems=5, baseline=tmp_path, callback=recorder)
    assert not recorder.events


def test_every_report_can_be_a_baseline_of_itself(tmp_path: Path) -> None:
    suites = ["gym:CartPole-v1", "countdown-mini", "countdown-easy,zebra-easy,zebra-mini"]
    first = benchmark("random", suites, problems=4, rollouts=2, out=tmp_path)
    again = benchmark("random", suites, problems=4, rollouts=2, baseline=[tmp_path / "benchmark.json"])
    assert [one.own.suite for one in again.differences] == suites
    assert {one.average.difference.mean for one in again.differences} == {0.0}
    assert {one.left_out for one in again.differences} == {(0, 0)}
    assert [*first.cells[2].scores.levels] == ["easy", "mini"]


def test_rollouts_of_any_suite_are_saved_with_their_actions_and_rewards(tmp_path: Path) -> None:
    saved = tmp_path / "rollouts.jsonl"
    result = benchmark(
        "random", ["gym:CartPole-v1,MountainCarContinuous-v0", "zebra-mini", Sum], problems=2, save=saved
    )
    rows = [json.loads(line) for line in saved.read_text().splitlines()]
    assert [row["task"] for row in rows] == [
        *["CartPole-v1"] * 2,
        *["MountainCarContinuous-v0"] * 2,
        "zebra",
        "zebra",
        "Sum",
        "Sum",
    ]
    for row in rows[:4]:
        assert len(row["actions"]) == len(row["rewards"]) == row["length"]
        assert sum(row["rewards"]) == pytest.approx(row["reward"])
    assert [type(row["actions"][0]) for row in rows[1:3]] == [int, list]
    assert "ground_truth" in rows[4]
    assert isinstance(rows[6]["prompt"], str)
    assert len(result.cells) == 3
