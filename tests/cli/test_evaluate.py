"""`mtgrpo evaluate`: baselines and checkpoints, on suites and on rows."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from faulty_server import Sent, faulty_server

from mtgrpo_env.chat import Message
from mtgrpo_env.named_tasks import SUITES
from mtgrpo_env.paper_frame import NEXT_TURNS, framed

RunCommand = Callable[..., Any]

ROWS: list[dict[str, Any]] = [
    {"data_source": "countdown-easy-test", "prompt": "3,5,7=22?", "ground_truth": {"numbers": "3,5,7", "target": 22}},
    {"data_source": "countdown-hard-test", "prompt": "1,2=3?", "ground_truth": {"numbers": "1,2", "target": 3}},
    {"data_source": "countdown-easy-test", "prompt": "4,6=24?", "ground_truth": {"numbers": "4,6", "target": 24}},
    {"task": "zebra", "prompt": "Who?", "ground_truth": {"target": "alice"}},
]


def write_rows(folder: Path, *rows: object) -> Path:
    file = folder / "rows.jsonl"
    file.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return file


def lines_of(out: str) -> list[dict[str, Any]]:
    """The reports, if nothing else was printed, without how long they took and what no thinking comes to."""
    reports = [json.loads(line) for line in out.splitlines()]
    for report in reports:
        assert report.pop("seconds") >= 0
        assert report.pop("reused") >= 0
        counts = {task: len(outcomes) for task, outcomes in report.pop("problems").items()}
        assert counts == {name: task["problems"] for name, task in report["tasks"].items() if task["problems"]}
    return without_chance(reports)


def without_chance(reports: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same reports, where every task says what no thinking comes to."""
    for task in (task for report in reports for task in report["tasks"].values()):
        assert all(share is None or 0 <= share <= 1 for share in (task.pop("guess"), task.pop("constant")))
        assert re.fullmatch("(always .+)?", task.pop("constant_name"))
    return reports


def only_line(out: str) -> dict[str, Any]:
    """The report, if nothing else was printed."""
    (report,) = lines_of(out)
    return report


def solved(*, problems: int) -> dict[str, Any]:
    """The report of an agent that solves every mini task; the interval's end is that of the binomial."""
    ends, of_all = ([0.025 ** (1 / many), 1.0] for many in (problems, 3 * problems))
    task = {"accuracy": 1.0, "interval": pytest.approx(ends), "pass_at": {}, "reward": 1.0}
    counts = {"problems": problems, "rollouts": problems, "invalid": 0, "left_out": 0}
    names = {name: dict(zip(("task", "level"), name.split("-"), strict=True)) for name in SUITES["mini"]}
    return {
        "worst": 1.0,
        "worst_interval": pytest.approx(ends),
        "average": 1.0,
        "average_interval": pytest.approx(of_all),
        "tasks": {name: {**parts, **task, **counts} for name, parts in names.items()},
        "levels": {},
        "spent": None,
        "left_out": [],
    }


@pytest.fixture(autouse=True)
def _folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Responses are kept below the folder that a command runs in."""
    monkeypatch.chdir(tmp_path)


def test_json_is_one_line_in_the_documented_format(command: RunCommand) -> None:
    result = command("evaluate", "--agent", "oracle", "--suite", "mini", "--problems", 20, "--json")
    assert (result.code, result.err) == (0, "")
    report = only_line(result.out)
    assert re.fullmatch("[0-9a-f]{12}", report.pop("fingerprint"))
    assert report == {"agent": "oracle", "suite": "mini", "rollouts": 1, **solved(problems=20)}


def test_a_baseline_needs_no_torch_and_a_process_of_its_own_prints_json_alone(environment: dict[str, str]) -> None:
    code = """
import sys
from mtgrpo_env.cli import main
code = main(["evaluate", "--agent", "oracle", "--problems", "3", "--json"])
assert not {"torch", "transformers"} & set(sys.modules)
sys.exit(code)
"""
    line = [sys.executable, "-c", code]
    done = subprocess.run(line, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert only_line(done.stdout).items() >= solved(problems=3).items()


def test_random_answers_are_sometimes_right_and_named_by_the_seed(command: RunCommand) -> None:
    arguments = ("evaluate", "--agent", "random", "--suite", "zebra-mini,countdown-mini", "--problems", 60, "--json")
    first, again, other = (only_line(command(*arguments, "--seed", seed).out) for seed in (1, 1, 2))
    assert first == again
    assert first != other
    assert 0.05 < first["tasks"]["zebra-mini"]["accuracy"] < 0.6
    assert first["worst"] == min(task["accuracy"] for task in first["tasks"].values())
    assert first["average"] == pytest.approx(sum(task["accuracy"] for task in first["tasks"].values()) / 2)


def test_without_json_a_table_shows_every_task_the_worst_and_the_average(command: RunCommand) -> None:
    result = command("evaluate", "--agent", "oracle", "--problems", 2)
    assert (result.code, result.err) == (0, "")
    for name in (*SUITES["mini"], "worst task", "average"):
        (line,) = [line for line in result.out.splitlines() if name in line]
        assert "100.0" in line


def test_rows_are_played_as_one_task_for_each_task_and_level(command: RunCommand, tmp_path: Path) -> None:
    result = command("evaluate", "--agent", "oracle", "--rows", write_rows(tmp_path, *ROWS), "--json")
    report = only_line(result.out)
    assert report["worst"] == 1.0
    assert {name: task["rollouts"] for name, task in report["tasks"].items()} == {
        "countdown-easy": 2,
        "countdown-hard": 1,
        "zebra": 1,
    }


@pytest.mark.parametrize("name", ["countdown", "zebra", "arc"])
def test_the_oracle_solves_every_row_of_the_paper(command: RunCommand, paper_tasks: Path, name: str) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    file = paper_tasks / f"{name}_test.parquet"
    report = only_line(command("evaluate", "--agent", "oracle", "--rows", file, "--json").out)
    assert report["worst"] == report["average"] == 1.0
    assert sum(task["rollouts"] for task in report["tasks"].values()) == parquet.read_metadata(file).num_rows
    assert all(task.startswith(f"{name}-") for task in report["tasks"])


def test_a_checkpoint_is_played_with_as_many_tokens_as_its_context_leaves(
    command: RunCommand, model_folder: Path
) -> None:
    arguments = ("evaluate", "--agent", model_folder, "--suite", "zebra-mini", "--json")
    result = command(*arguments, "--problems", 30, "--rollouts", 2)
    assert result.code == 0, result.err
    report = only_line(result.out)
    assert report["agent"] == str(model_folder)
    assert report["tasks"]["zebra-mini"]["rollouts"] == 60
    assert 0 < report["tasks"]["zebra-mini"]["accuracy"] < 1
    fresh = ("--problems", 30, "--rollouts", 2, "--cache", "other.sqlite")
    assert only_line(command(*arguments, *fresh).out) == report


def test_a_checkpoint_at_temperature_zero_does_not_depend_on_the_seed_of_sampling(
    command: RunCommand, model_folder: Path, tmp_path: Path
) -> None:
    rows = write_rows(tmp_path, *ROWS)
    greedy = ("--temperature", 0, "--max-new-tokens", 8)
    arguments = ("evaluate", "--agent", model_folder, "--rows", rows, "--json", *greedy)
    first, second = (only_line(command(*arguments, "--seed", seed, "--cache", f"{seed}.sqlite").out) for seed in (1, 2))
    assert first == second


def test_a_checkpoints_responses_end_before_a_stop_string(
    command: RunCommand, model_folder: Path, tmp_path: Path
) -> None:
    def responses(name: str, *options: object) -> list[str]:
        line = ("evaluate", "--agent", model_folder, "--suite", "zebra-mini", "--problems", 20, "--rollouts", 2)
        assert command(*line, "--save", tmp_path / name, *options).code == 0
        return [json.loads(row)["response"] for row in (tmp_path / name).read_text().splitlines()]

    whole = responses("whole.jsonl")
    stop = max(set("".join(whole)), key="".join(whole).count)
    stopped = responses("stopped.jsonl", "--stop", stop, "no such text")
    assert stopped == [response.partition(stop)[0] for response in whole]
    assert stopped != whole


def test_with_top_k_of_one_a_checkpoint_takes_the_likeliest_token(command: RunCommand, model_folder: Path) -> None:
    line = ("evaluate", "--agent", model_folder, "--suite", "zebra-mini", "--problems", 20, "--json")
    greedy, restricted = only_line(command(*line, "--temperature", 0).out), only_line(command(*line, "--top-k", 1).out)
    assert restricted == greedy


def test_prompts_that_all_fill_the_context_cannot_be_played(
    command: RunCommand, model_folder: Path, tmp_path: Path
) -> None:
    rows = write_rows(tmp_path, {**ROWS[0], "prompt": "x" * 64})
    result = command("evaluate", "--agent", model_folder, "--rows", rows)
    assert (result.code, result.out) == (2, "")
    assert result.err == f"{model_folder}: no prompt of {rows} leaves room for a response in the context of 64 tokens\n"


def test_a_prompt_that_fills_the_context_is_named_and_costs_no_other_its_room(
    command: RunCommand, model_folder: Path, tmp_path: Path
) -> None:
    truths = [{"numbers": f"{n},5,7", "target": n + 12} for n in (1, 2, 3)]
    prompts = ("x" * 40, "y" * 64, "z" * 20)
    rows = [{**ROWS[0], "prompt": p, "ground_truth": t} for p, t in zip(prompts, truths, strict=True)]
    line = ("evaluate", "--agent", model_folder, "--json", "--rows")
    report = only_line(command(*line, write_rows(tmp_path, *rows)).out)
    name = "task 'countdown-easy', rows.jsonl, row 2"
    why = "the prompt has 64 tokens, which leaves no room for a response in the context of 64"
    assert report["left_out"] == [f"{name}: {why}"]
    assert report["tasks"]["countdown-easy"]["left_out"] == 1
    assert (report["tasks"]["countdown-easy"]["problems"], report["spent"]["responses"]) == (2, 2)
    alone = [only_line(command(*line, write_rows(tmp_path, row)).out)["spent"] for row in (rows[0], rows[2])]
    assert report["spent"]["completion_tokens"] >= max(spent["completion_tokens"] for spent in alone)


def test_a_row_without_a_known_solution_is_left_out_of_the_oracles_score_and_named(
    command: RunCommand, tmp_path: Path
) -> None:
    many = {"numbers": ",".join(map(str, range(1, 14))), "target": 999}
    rows = write_rows(tmp_path, ROWS[0], {**ROWS[0], "prompt": "many", "ground_truth": many})
    report = only_line(command("evaluate", "--agent", "oracle", "--rows", rows, "--json").out)
    why = "a solution is searched for of at most 12 numbers, got 13"
    assert report["left_out"] == [f"task 'countdown-easy', rows.jsonl, row 2: {why}"]
    assert (report["worst"], report["tasks"]["countdown-easy"]["problems"]) == (1.0, 1)
    shown = command("evaluate", "--agent", "oracle", "--rows", rows).out
    assert "oracle: 1 problems are left out and count as none: task 'countdown-easy', rows.jsonl, row 2" in shown


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("--suite", "mniature"), "or a suite, one of ['mini', 'mini_medium'"),
        (("--suite", "zebra-enormous"), "level of task 'zebra' must be one of"),
        (("--suite", "zebra-easy,zebra-easy"), "task names must be unique"),
        (("--problems", "0"), "problems must be at least 1, got 0"),
        (("--rollouts", "0"), "rollouts must be at least 1, got 0"),
        (("--max-new-tokens", "0"), "max_new_tokens must be at least 1, got 0"),
        (("--top-p", "0"), "top_p must be above 0 and at most 1, got 0.0"),
        (("--top-k", "-1"), "top_k must be at least 0, got -1"),
        (("--stop", "a", ""), "stop must be strings, none of them empty, got ('a', '')"),
        (("--stop", "a\udcff"), "stop must be strings that UTF-8 can encode, got ('a\\udcff',)"),
        (("--system", "a\udcff"), "system must be text that UTF-8 can encode, got 'a\\udcff'"),
        (("--template-options", '{"a": "\\ud800"}'), "template_options must hold text that UTF-8 can encode"),
        (("--concurrency", "0"), "concurrency must be at least 1 and at most 1,000, got 0"),
        (("--retries", "-1"), "retries must be at least 0, got -1"),
        (("--patience", "0"), "patience must be above 0, got 0.0"),
        (("--suite", "gym:CartPole-v99"), "expected a registered Gymnasium id, got 'CartPole-v99'"),
        (("--suite", "nowhere:suite"), "expected 'package.module:name', got 'nowhere:suite'"),
        (("--suite", "builtins:dict"), "builtins:dict must make a TaskSuite, got {}"),
        (("--rows", "none.jsonl"), "none.jsonl"),
        (("--rows", "none.txt"), "none.txt: expected a name that ends in .jsonl, .json, .parquet, .csv"),
        (("--rows", "none.csv"), "none.csv: there is no such file"),
    ],
)
def test_a_mistake_in_the_options_is_refused_by_name(
    refused: Callable[..., str], options: tuple[str, ...], complaint: str
) -> None:
    assert complaint in refused("evaluate", "--agent", "oracle", *options)


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        ([], "at least one row"),
        (["[1]"], "rows.jsonl, row 1: expected one JSON object"),
        ([ROWS[0], {**ROWS[0], "ground_truth": 3}], "rows.jsonl, row 2, column ground_truth: ground truth needs"),
        ([{**ROWS[0], "ground_truth": {"numbers": "1,x", "target": 3}}], "rows.jsonl, row 1, column ground_truth: "),
        ([{**ROWS[0], "data_source": "chess-easy-test"}], "nothing scores the 1 rows of 'chess-easy'"),
    ],
)
def test_a_malformed_row_is_refused_with_its_place(
    refused: Callable[..., str], tmp_path: Path, rows: list[object], complaint: str
) -> None:
    assert complaint in refused("evaluate", "--agent", "oracle", "--rows", write_rows(tmp_path, *rows))


@pytest.mark.parametrize("agent", ["orcale", "./none", "/none/such"])
def test_a_missing_checkpoint_is_refused(refused: Callable[..., str], agent: str) -> None:
    assert f"'{agent}'" in refused("evaluate", "--agent", agent, "--problems", 1)


def test_several_agents_play_several_suites_and_one_report_holds_them_all(command: RunCommand, tmp_path: Path) -> None:
    out = tmp_path / "report"
    arguments = ("--agent", "oracle", "random", "--suite", "zebra-mini,arc-mini", "control", "guessing-mini")
    result = command("evaluate", *arguments, "--problems", 5, "--rollouts", 4, "--json", "--out", out)
    assert result.code == 0
    assert "oracle: this agent plays text tasks, but cartpole" in result.err
    reports = lines_of(result.out)
    played = [(report["agent"], report["suite"]) for report in reports]
    suites = ["zebra-mini,arc-mini", "control", "guessing-mini"]
    assert played == [*(("oracle", suite) for suite in suites[::2]), *(("random", suite) for suite in suites)]
    assert list(reports[2]["tasks"]["zebra-mini"]["pass_at"]) == ["2", "4"]
    assert reports[3]["tasks"]["cartpole"].items() >= {"accuracy": 0.0, "rollouts": 20}.items()
    assert reports[3]["tasks"]["cartpole"]["reward"] > 5
    in_order = sorted(reports, key=lambda report: suites.index(report["suite"]))
    written = json.loads((out / "benchmark.json").read_text())
    assert written["command"].startswith("mtgrpo evaluate --agent oracle random --suite")
    assert lines_of("\n".join(map(json.dumps, written["cells"]))) == in_order
    assert (out / "benchmark.png").read_bytes().startswith(b"\x89PNG")
    page = (out / "benchmark.md").read_text()
    assert f"mtgrpo evaluate {' '.join(arguments)} --problems 5 --rollouts 4" in page
    (line,) = [line for line in page.splitlines() if line.startswith("| `oracle` | 100.0 [")]
    assert line.split(" | ")[3:5] == ["-", "-"], "the oracle cannot play control"
    assert page.count("## ") == 4
    assert page.endswith("## Not played\n\n- " + result.err.splitlines()[0] + "\n")


def test_that_nobody_can_play_anything_is_a_failure(command: RunCommand) -> None:
    result = command("evaluate", "--agent", "oracle", "--suite", "gym:CartPole-v1", "--problems", 2)
    assert (result.code, result.out) == (2, "")
    assert "CartPole-v1 of gym:CartPole-v1 are none" in result.err


def test_the_worst_task_stands_first(command: RunCommand) -> None:
    arguments = ("--agent", "random", "--suite", "zebra-mini,arc-mini,countdown-mini", "--problems", 40, "--json")
    accuracies = [task["accuracy"] for task in only_line(command("evaluate", *arguments).out)["tasks"].values()]
    assert accuracies == sorted(accuracies)
    assert accuracies[0] < accuracies[-1]


def test_equal_problems_have_equal_fingerprints_and_others_do_not(command: RunCommand) -> None:
    def fingerprint(*options: object) -> str:
        result = command("evaluate", "--agent", "random", "--json", "--problems", 5, *options)
        return only_line(result.out)["fingerprint"]

    own = fingerprint("--suite", "zebra-mini")
    assert own == fingerprint("--suite", "zebra-mini", "--rollouts", 3)
    others = [("zebra-mini", "--seed", 1), ("arc-mini",), ("zebra-mini", "--extraction", "released"), ("gym:Taxi-v4",)]
    assert len({own, *(fingerprint("--suite", *other) for other in others)}) == 5


POLICY = """
from mtgrpo_env.envs.toy import toy_suite


class Still:
    def act(self, observations, task_ids, *, deterministic=False):
        return [0] * len(observations), [None] * len(observations)


def still(suite):
    return Still()


def locks():
    return toy_suite(2)
"""


def test_a_policy_and_a_suite_of_ones_own_are_named_by_their_module(
    command: RunCommand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_policy_and_suite.py").write_text(POLICY)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    arguments = ("--agent", "own_policy_and_suite:still", "--suite", "own_policy_and_suite:locks", "gym:CartPole-v1")
    first, second = lines_of(command("evaluate", *arguments, "--problems", 3, "--json").out)
    assert first["suite"] == "own_policy_and_suite:locks"
    assert second["tasks"]["CartPole-v1"]["reward"] < 15


def test_a_model_behind_an_endpoint_is_asked_once_and_its_tokens_are_counted(
    command: RunCommand, tmp_path: Path
) -> None:
    arguments = ["--suite", "zebra-mini", "--problems", 10, "--rollouts", 2, "--json", "--max-new-tokens", 20]
    request = ("--request", '{"top_p": 0.9, "temperature": null}', "--cache", tmp_path / "replies.sqlite")
    with faulty_server(lambda prompt: "\\boxed{0}, and more than fits in") as served:
        served.faults = ["hang up", "no JSON"]
        line = ("evaluate", "--agent", f"openai:tiny@{served.url}", *arguments, *request)
        first, again = (only_line(command(*line).out) for _ in range(2))
    assert first == again
    assert len(served.requests) == 22
    assert all((sent["top_p"], sent["max_tokens"]) == (0.9, 20) for sent in served.requests)
    assert not any("temperature" in sent for sent in served.requests)
    spent = first["spent"]
    assert (spent["responses"], spent["completion_tokens"], spent["cut"], spent["empty"]) == (20, 400, 20, {})
    assert spent["prompt_tokens"] > 100


def test_an_endpoint_is_sent_what_is_not_at_its_default(command: RunCommand, tmp_path: Path) -> None:
    with faulty_server(str.upper) as served:
        line = ("evaluate", "--agent", f"completions:tiny@{served.url}", "--suite", "zebra-mini", "--problems", 1)
        cache = ("--cache", tmp_path / "replies.sqlite")
        command(*line, *cache)
        command(*line, *cache, "--top-p", 0.9, "--top-k", 5, "--stop", "User:", "--stop", "\n\n")
    plain, restricted = served.requests
    assert not {"top_p", "top_k", "stop"} & plain.keys()
    assert {"top_p": 0.9, "top_k": 5, "stop": ["User:", "\n\n"]}.items() <= restricted.items()


def test_an_endpoint_is_sent_what_stands_around_the_prompts(command: RunCommand, tmp_path: Path) -> None:
    cache = ("--cache", tmp_path / "replies.sqlite", "--concurrency", 1)
    suite = ("--suite", "zebra-mini,countdown-mini", "--problems", 1, *cache)
    frame = ("--system", "Be brief.", "--examples", 1, "--prefill", "So")
    with faulty_server(str.upper) as served:
        command("evaluate", "--agent", f"openai:tiny@{served.url}", *suite, *frame, "--template-options", '{"a": 1}')
        command("evaluate", "--agent", f"completions:tiny@{served.url}", *suite, *frame, "--prompt", "paper")
    chats, texts = served.requests[:2], served.requests[2:]
    for chat, text in zip(chats, texts, strict=True):
        messages = [Message(**message) for message in chat["messages"]]
        roles = ["system", "user", "assistant", "user", "assistant"]
        assert [message.role for message in messages] == roles
        assert (messages[0].content, messages[-1].content) == ("Be brief.", "So")
        assert chat["chat_template_kwargs"] == {"a": 1}
        assert text["prompt"] == f"{framed([messages[0], messages[3]], messages[1:3])}So"
        assert text["stop"] == list(NEXT_TURNS), "the next turn of the frame"
    assert len({chat["messages"][1]["content"] for chat in chats}) == 2, "each task has its own examples"


@pytest.mark.parametrize(
    ("agent", "options", "complaint"),
    [
        ("openai", ("--prompt", "paper"), "agents openai: take prompt chat, got paper"),
        ("completions", ("--prompt", "chat"), "agents completions: take prompt plain or paper, got chat"),
        ("completions", ("--system", "Be brief."), "need prompt chat or paper, got plain"),
        ("completions", ("--template-options", '{"a": 1}'), "template_options need prompt chat, got plain"),
    ],
)
def test_an_endpoint_refuses_prompts_that_it_cannot_be_sent(
    refused: Callable[..., str], agent: str, options: tuple[str, ...], complaint: str, tmp_path: Path
) -> None:
    cache = ("--cache", tmp_path / "replies.sqlite")
    line = ("--agent", f"{agent}:tiny@http://127.0.0.1:1/v1", "--suite", "zebra-mini", "--problems", 1, *cache)
    assert complaint in refused("evaluate", *line, *options)


def test_empty_answers_are_counted_by_their_reason(command: RunCommand, tmp_path: Path) -> None:
    cache, about = ("--cache", tmp_path / "replies.sqlite"), ("--suite", "zebra-mini", "--problems", 5)
    filtered = {"choices": [{"message": None, "finish_reason": "content_filter"}]}
    with faulty_server(lambda prompt: "\\boxed{0}") as served:
        served.faults = [Sent({"choices": []}), Sent(filtered), Sent({}, 451)]
        line = ("evaluate", "--agent", f"openai:tiny@{served.url}", *about, *cache)
        report = only_line(command(*line, "--json").out)
        served.faults = ["refuse"]  # of the one that is not kept
        table = command(*line).out
    assert report["spent"]["empty"] == {"filtered": 2, "refused": 1}
    assert report["tasks"]["zebra-mini"]["rollouts"] == 5
    assert "2 filtered; 1 refused" in table


def test_a_run_that_an_endpoint_cut_off_goes_on_where_it_was(
    command: RunCommand, refused: Callable[..., str], tmp_path: Path
) -> None:
    cache = ("--cache", tmp_path / "replies.sqlite", "--retries", 0, "--concurrency", 1)
    with faulty_server(lambda prompt: "\\boxed{0}") as served:
        agent = f"completions:tiny@{served.url}"
        line = ("evaluate", "--agent", agent, "--suite", "zebra-mini", "--problems", 10, *cache)
        before = command(*line, "--problems", 4, "--json")
        served.faults = ["broken"] * 99
        assert "status 500" in refused(*line)
        served.faults = []
        asked = len(served.requests)
        report = only_line(command(*line, "--json").out)
    assert before.code == 0
    assert report["tasks"]["zebra-mini"]["rollouts"] == 10
    assert 6 <= asked <= 7
    assert 6 <= len(served.requests) - asked <= 7, "those without a reply, and what was under way"


@pytest.mark.parametrize("agent", ["openai:tiny", "openai:@http://127.0.0.1:1/v1", "completions:tiny@"])
def test_a_model_without_a_server_or_a_server_without_a_model_is_refused(
    refused: Callable[..., str], agent: str
) -> None:
    assert "<model>@<base url>" in refused("evaluate", "--agent", agent, "--problems", 1)


def test_fields_of_a_request_must_be_a_json_object(refused: Callable[..., str]) -> None:
    line = ("evaluate", "--agent", "openai:tiny@http://127.0.0.1:1/v1", "--problems", 1, "--request", "[1]")
    assert "request must be a JSON object, got '[1]'" in refused(*line)


def test_what_a_checkpoint_reads_and_writes_is_counted(command: RunCommand, model_folder: Path) -> None:
    def spent(agent: object) -> dict[str, int]:
        arguments = ("--suite", "zebra-mini", "--problems", 5, "--rollouts", 3, "--json")
        return only_line(command("evaluate", "--agent", agent, *arguments).out)["spent"]

    named = spent(f"hf:{model_folder}")
    assert named == spent(model_folder)
    assert named["responses"] == 15
    assert named["completion_tokens"] >= 15


def test_names_that_are_given_twice_are_played_once(command: RunCommand) -> None:
    line = ("--agent", "random", "random", "--suite", "zebra-mini", "zebra-mini", "--problems", 3, "--json")
    assert len(lines_of(command("evaluate", *line).out)) == 1


def test_files_of_one_name_stay_apart_and_another_right_answer_is_another_problem(
    command: RunCommand, tmp_path: Path
) -> None:
    row = {"data_source": "zebra-easy-test", "prompt": "Who?", "ground_truth": {"target": "alice"}}
    files = []
    for name, target in (("a", "alice"), ("b", "bob")):
        (tmp_path / name).mkdir()
        files.append(write_rows(tmp_path / name, {**row, "ground_truth": {"target": target}}))
    out = tmp_path / "report"
    first, second = lines_of(command("evaluate", "--agent", "oracle", "--rows", *files, "--json", "--out", out).out)
    assert [first["suite"], second["suite"]] == [str(file) for file in files]
    assert first["fingerprint"] != second["fingerprint"]
    assert (out / "benchmark.md").read_text().count("Problem set `") == 2


def test_rollouts_of_envs_are_saved_and_passed_over_by_score(
    command: RunCommand, refused: Callable[..., str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    saved, controls = tmp_path / "rollouts.jsonl", tmp_path / "controls.jsonl"
    line = ("--agent", "random", "--suite", "gym:CartPole-v1", "zebra-mini", "--problems", 2, "--save", saved, "--json")
    assert len(lines_of(command("evaluate", *line).out)) == 2
    rows = saved.read_text().splitlines()
    assert [json.loads(row)["suite"] for row in rows] == ["gym:CartPole-v1"] * 2 + ["zebra-mini"] * 2
    scored = command("score", "--rows", saved)
    assert (scored.code, "zebra" in scored.out) == (0, True)
    assert "passed over 2 rollouts of envs that have no ground truth" in caplog.text
    controls.write_text("\n".join(rows[:2]))
    assert "expected responses, got actions in envs without a ground truth" in refused("score", "--rows", controls)


def test_several_agents_end_in_a_leaderboard_and_a_baseline_in_differences(command: RunCommand, tmp_path: Path) -> None:
    old, suite = tmp_path / "old", ("--suite", "mini", "--problems", 10)
    assert command("evaluate", "--agent", "random", *suite, "--out", old).code == 0
    result = command("evaluate", "--agent", "random", "oracle", *suite, "--baseline", old)
    assert result.code == 0
    board = result.out.partition("leaderboard of mini")[2]
    assert 0 < board.index("oracle") < board.index("random")
    assert "oracle against random on mini" in board
    assert "Baseline: " in board
    lines = command("evaluate", "--agent", "oracle", *suite, "--baseline", old, "--json").out.splitlines()
    assert [("baseline" in json.loads(line)) for line in lines] == [False, True]


def test_a_baseline_that_is_none_is_refused(refused: Callable[..., str], tmp_path: Path) -> None:
    assert "nothing.json" in refused("evaluate", "--agent", "oracle", "--baseline", tmp_path / "nothing.json")


def test_mistakes_in_any_agent_or_in_out_are_found_before_anything_is_played(
    refused: Callable[..., str], tmp_path: Path
) -> None:
    assert "<model>@<base url>" in refused("evaluate", "--agent", "random", "openai:bad", "--problems", 1)
    assert "./none" in refused("evaluate", "--agent", "random", "hf:./none", "--problems", 1)
    (tmp_path / "file").write_text("")
    assert "file" in refused("evaluate", "--agent", "random", "--problems", 1, "--out", tmp_path / "file")


@pytest.mark.parametrize("option", ["--save", "--out", "--cache"])
def test_where_nothing_can_be_written_is_found_before_anything_is_played(
    refused: Callable[..., str], tmp_path: Path, option: str
) -> None:
    (tmp_path / "file").write_text("mine")
    line = ("evaluate", "--agent", "oracle", "openai:tiny@http://127.0.0.1:1/v1", "--problems", 10_000_000)
    places = [tmp_path / "file" / "x"]
    if option != "--out":
        places.append(tmp_path)
    if sys.platform == "linux":  # takes no files, not even root's
        places.append(Path("/sys/x"))
    for place in places:
        assert str(place.parent) in refused(*line, option, place)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_run_that_is_stopped_leaves_the_older_rollouts_as_they_were(
    start_process: Callable[..., subprocess.Popen[str]], tmp_path: Path, number: int, code: int
) -> None:
    saved = tmp_path / "rollouts.jsonl"
    saved.write_text("older")
    process = start_process(["evaluate", "--agent", "oracle", "--suite", "mini", "--problems", 4000, "--save", saved])
    while not any(path.stat().st_size for path in tmp_path.glob(".*/*")):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (code, "")
    assert err.splitlines()[-1] in ("mtgrpo evaluate: stopped by SIGTERM", "mtgrpo evaluate: interrupted")
    assert "Traceback" not in err
    assert saved.read_text() == "older"
    assert list(tmp_path.iterdir()) == [saved]


@pytest.mark.parametrize("field", ["model", "messages", "prompt"])
def test_a_request_keeps_its_model_and_prompt(refused: Callable[..., str], field: str) -> None:
    line = ("--agent", "openai:tiny@http://127.0.0.1:1/v1", "--problems", 1, "--request", json.dumps({field: "x"}))
    assert f"leave model and prompt alone, got ['{field}']" in refused("evaluate", *line)


def test_a_model_may_have_signs_in_its_name_and_a_password_is_not_shown(command: RunCommand, tmp_path: Path) -> None:
    with faulty_server(str.upper) as served:
        agent = f"openai:org/model@v2@{served.url.replace('//', '//user:secret@')}"
        line = ("--agent", agent, "--suite", "zebra-mini", "--problems", 1, "--json", "--out", tmp_path / "out")
        result = command("evaluate", *line, "--cache", tmp_path / "replies.sqlite")
    assert served.requests[0]["model"] == "org/model@v2"
    assert only_line(result.out)["agent"] == f"openai:org/model@v2@{served.url}"
    assert not any("secret" in file.read_text() for file in (tmp_path / "out").glob("*.[mj]*"))


def test_a_function_that_makes_no_policy_is_refused(refused: Callable[..., str]) -> None:
    assert "builtins:repr must make a policy" in refused("evaluate", "--agent", "builtins:repr", "--problems", 1)


def test_a_device_that_is_not_there_is_refused(refused: Callable[..., str], model_folder: Path) -> None:
    line = ("--agent", model_folder, "--suite", "zebra-mini", "--problems", 1, "--device", "nowhere")
    assert refused("evaluate", *line).endswith("got 'nowhere'")


def test_an_interrupt_ends_at_once_although_a_server_is_silent(tmp_path: Path, environment: dict[str, str]) -> None:
    with faulty_server(str.upper, seconds=20.0) as served:
        agent = f"openai:tiny@{served.url}"
        line = [sys.executable, "-m", "mtgrpo_env", "evaluate", "--agent", agent, "--suite", "zebra-mini"]
        kept = ["--cache", str(tmp_path / "replies.sqlite")]
        process = subprocess.Popen([*line, *kept], env=environment, stderr=subprocess.PIPE, text=True)
        while not served.requests and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=15)
    assert process.returncode == 130
    assert "interrupted" in said


def test_a_run_is_asked_as_it_was_trained_unless_options_say_otherwise(
    command: RunCommand, model_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    run, sizes = tmp_path / "run", ("--batch-size", 2, "--group-size", 2, "--minibatches", 1, "--eval-problems", 2)
    tasks = ("--suite", "zebra-mini,countdown-mini", "--max-new-tokens", 4)
    trained = command("train", "--model", model_folder, "--out", run, *tasks, *sizes, "--steps", 1, "--prefill", "A")
    assert trained.code == 0, trained.err
    for agent, options, begins in ((run, (), "A"), (run, ("--prefill", "B"), "B"), (model_folder, (), "")):
        saved = tmp_path / f"{begins}.jsonl"
        line = ("evaluate", "--agent", agent, *tasks, "--problems", 3, *options, "--save", saved)
        assert command(*line).code == 0
        responses = [json.loads(row)["response"] for row in saved.read_text().splitlines()]
        assert all(response.startswith(begins) for response in responses)
        assert begins or not all(response.startswith("A") for response in responses)
    assert "prompts are written as in its run, prefill='A'" in caplog.text


def test_rows_that_are_shown_as_examples_are_not_played_and_that_is_said(
    command: RunCommand, model_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "chat"
    shutil.copytree(model_folder, folder)
    file = folder / "tokenizer_config.json"
    template = "{% for message in messages %}{{ message['content'] }}{% endfor %}"
    file.write_text(json.dumps({**json.loads(file.read_text()), "chat_template": template}))
    rows = write_rows(tmp_path, *({"question": f"{n}+1=", "answer": n + 1} for n in range(20)))
    line = ("evaluate", "--rows", rows, "--reward", "exact", "--json", "--max-new-tokens", 4)
    both = command(*line, "--agent", folder, "random", "--examples", 2)
    assert [report["tasks"]["rows"]["problems"] for report in lines_of(both.out)] == [18, 18]
    assert "2 of 20 problems are shown as examples and not played" in caplog.text


def test_responses_that_say_nothing_are_shown_with_what_to_change(
    command: RunCommand, model_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    result = command(
        "evaluate", "--agent", model_folder, "--suite", "zebra-mini", "--problems", 8, "--max-new-tokens", 1
    )
    assert result.code == 0
    assert "in zebra-mini), such as" in caplog.text
    assert "raise --max-new-tokens (1)" in caplog.text


def test_empty_replies_of_an_endpoint_want_more_tokens_and_no_other_template(
    command: RunCommand, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with faulty_server(lambda prompt: "") as served:
        line = ("evaluate", "--agent", f"openai:tiny@{served.url}", "--suite", "countdown-mini", "--problems", 3)
        assert command(*line, "--max-new-tokens", 24, "--cache", tmp_path / "replies.sqlite").code == 0
    assert "responses are empty (3 of 3 in countdown-mini)" in caplog.text
    assert "raise --max-new-tokens (24)" in caplog.text
    assert "--prompt" not in caplog.text
