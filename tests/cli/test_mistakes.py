"""Mistakes of the first hour: each is one line that names what was expected and what was given, with exit code 2."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from training_runs import train

RunCommand = Callable[..., Any]
Refused = Callable[..., str]

POLICIES = """
from mtgrpo_env import TextEnv

class Policy:
    def __init__(self, chosen):
        self.act = chosen

def short(suite):
    return Policy(lambda observations, task_ids, deterministic=False: (["1"], [None]))

def bare(suite):
    return Policy(lambda observations, task_ids, deterministic=False: ["1"] * len(observations))

def numbers(suite):
    return Policy(lambda observations, task_ids, deterministic=False: ([1 for _ in observations], [*observations]))

def broken(suite):
    return 1 / 0

class Puzzle(TextEnv):
    def generate(self, rng):
        return rng.nothing
    prompt = verify = oracle = generate
"""


@pytest.fixture
def folder(tmp_path: Path, model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory of somebody who begins: a model, one without tokenizer, a file, policies."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(model_folder, "model")
    shutil.copytree(model_folder, "untokenized", ignore=shutil.ignore_patterns("token*", "vocab*", "merges*"))
    Path("empty").mkdir()
    Path("file").write_text("")
    Path("first_policies.py").write_text(POLICIES)
    Path("typo.yaml").write_text("stesp: 3")
    Path("broken.yaml").write_text("steps: [1\n")
    return tmp_path


MINI = ("--model", "model", "--suite", "mini", "--max-new-tokens", 8)
TRAINING = [
    (("--group-size", 1), "group_size must be at least 2, got 1"),
    (("--temperature", 0), "temperature must be at least 1e-06, got 0.0"),
    (("--minibatches", 9), "minibatches must be at most batch_size, 4 groups, got 9"),
    (("--max-new-tokens", 64), "max_new_tokens must be below 64, the context of model, got 64"),
    (
        ("--max-new-tokens", 60),
        r"'zebra-mini': the shortest of .* \d+ tokens, .* of model, 64: lower max_new_tokens",
    ),
    (("--device", "cuda:99"), r"device must be auto or one that torch finds on this machine, .* got 'cuda:99'"),
    (("--seed", -1), "seed must be at least 0, got -1"),
    (("--method", "mt-gpro"), "got 'mt-gpro'; did you mean 'mt-grpo'?"),
    (("--suite", "coutdown"), "got 'coutdown'; did you mean 'countdown'?"),
    (("--suite", "zebra-esay"), "got 'esay'; did you mean 'easy'?"),
    (("--suite", "gym:CartPole-v1"), "a language model needs text tasks, got 'CartPole-v1'"),
    (("--model", "untokenized"), "the tokenizer of 'untokenized' knows no tokens"),
    (("--model", "empty"), "expected a model folder, with a config.json in it, got 'empty'"),
    (("--model", "file"), "expected a model folder or a hub id like 'owner/name', got 'file'"),
    (("--out", "file"), "out must be a folder, got the file 'file'"),
    (("--config", "typo.yaml"), "typo.yaml: there is no option 'stesp'; did you mean 'steps'?"),
    (("--config", "broken.yaml"), "broken.yaml is no YAML: while parsing a flow sequence"),
]


@pytest.mark.parametrize("dry_run", [(), ("--dry-run",)])
@pytest.mark.parametrize(("options", "complaint"), TRAINING)
def test_a_run_and_its_plan_refuse_what_cannot_work(
    refused: Refused, folder: Path, options: tuple[Any, ...], complaint: str, dry_run: tuple[str, ...]
) -> None:
    line = refused(*train(folder / "run", Path("model"), *options, *dry_run))
    assert complaint in line or re.search(complaint, line)
    assert not (folder / "run" / "checkpoints").exists()


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (
            ("--agent", "first_policies:short"),
            "act of Policy must return a pair (actions, extras) of 3 each, got 1 and 1",
        ),
        (
            ("--agent", "first_policies:bare"),
            "act of Policy must return a pair (actions, extras) of 3 each, got a list",
        ),
        (("--agent", "first_policies:numbers"), "act of Policy must return a str for the text task 'arc-mini', got 1"),
        (("--agent", "first_policies:broken"), "ZeroDivisionError: division by zero (first_policies.py, line 18)"),
        (("--agent", "first_polices:short"), "No module named 'first_polices'"),
        (("--agent", "orcale"), "there is no agent 'orcale'; did you mean 'oracle'?"),
        (("--agent", "untokenized"), "the tokenizer of 'untokenized' knows no tokens"),
        (("--agent", "model", "--device", "cuda:99"), "got 'cuda:99'"),
        (("--agent", "random", "--temperature", "nan"), "temperature must be at least 0, got nan"),
        (("--agent", "random", "--out", "file"), "expected a folder, got the file 'file'"),
        (("--agent", "random", "--save", "none/rows.jsonl"), "a folder for rows.jsonl, got 'none', which is none"),
        (("--agent", "random", "--rows", "none.jsonl"), "none.jsonl: there is no such file"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_an_evaluation_refuses_what_cannot_be_played(
    refused: Refused, options: tuple[Any, ...], complaint: str
) -> None:
    assert complaint in refused("evaluate", "--suite", "arc-mini", "--problems", 3, *options)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("tasks", "--tasks", "zebar"), "got 'zebar'; did you mean 'zebra'?"),
        (("export", "--suite", "first_policies:Puzzle", "--out", "rows.jsonl"), "task 'Puzzle' raised in reset"),
        (("evaluate", "--agent", "oracle", "--suite", "first_policies:Puzzle"), "task 'Puzzle' raised in reset"),
        (("check", "--tasks", "zebra-esay"), "got 'esay'; did you mean 'easy'?"),
        (
            ("export", "--suite", "arc-mini", "--out", "none/rows.jsonl"),
            "a folder for rows.jsonl, got 'none', which is none",
        ),
        (("compare", "--model", "model", "--device", "cuda:99"), "got 'cuda:99'"),
        (
            ("compare", "--model", "model", "--batch-size", 2, "--minibatches", 1),
            "batch_size must be at least the number",
        ),
        (("compare", "--model", "model", "--max-new-tokens", 64), "max_new_tokens must be below 64"),
        (
            ("compare", *MINI, "--out", "file"),
            "expected a folder, got the file 'file'",
        ),
    ],
)
@pytest.mark.usefixtures("folder")
def test_the_other_commands_refuse_likewise(refused: Refused, arguments: tuple[Any, ...], complaint: str) -> None:
    assert complaint in refused(*arguments)


@pytest.mark.usefixtures("folder")
def test_a_failing_agent_is_a_line_beside_the_others_and_the_exit_code_says_so(command: RunCommand) -> None:
    agents = ("oracle", "first_policies:broken", "untokenized", "random")
    result = command("evaluate", "--agent", *agents, "--suite", "arc-mini", "--problems", 3)
    assert result.code == 1
    assert [line.split(" failed on arc-mini: ")[0] for line in result.err.splitlines()] == [*agents[1:3]]
    assert result.out.count("│ worst task") == 2


def test_a_plan_names_the_packages_that_the_run_would_lack(
    command: RunCommand, refused: Refused, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    line = train(folder / "run", Path("model"), "--lora-rank", 2)
    hint = "lora_rank needs peft: pip install '.[lora]' in the checkout"
    assert command(*line, "--dry-run").out.endswith(f"to run it here: {hint}\n")
    assert refused(*line).endswith(hint)


def test_tasks_whose_extra_is_missing_are_left_out_of_the_list(
    command: RunCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "mpmath", None)
    monkeypatch.setattr("mtgrpo_env.experiments.task_survey._SECONDS", 0)
    result = command("tasks", "--tasks", "guessing", "math", "--problems", 1, "--json")
    assert (result.code, result.err) == (0, "the task 'math' needs mpmath: pip install '.[math]' in the checkout\n")
    assert '"guessing-mini"' in result.out
    assert command("tasks", "--tasks", "math", "--problems", 1).code == 2
