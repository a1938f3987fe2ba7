"""Benchmarks that were cut off: the same command goes on, for every agent that has a name."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from mtgrpo_env import MTGRPOAgent
from mtgrpo_env.envs.toy import toy_suite
from mtgrpo_env.experiments.agent_options import EndpointOptions
from mtgrpo_env.experiments.benchmark import benchmark
from mtgrpo_env.experiments.benchmark_callback import BenchmarkCallback
from mtgrpo_env.experiments.benchmark_result import Benchmark
from mtgrpo_env.experiments.identities import own_code, pickled

POLICY = """
import numpy as np

RIGHT = {right}


class Policy:
    def __init__(self, suite):
        self.weights = np.zeros(3)

    def act(self, observations, task_ids, *, deterministic=False):
        with open("calls.txt", "a") as file:
            file.write("x" * len(observations))
        return ["\\\\boxed{{0}}" if RIGHT else "" for _ in observations], [None] * len(observations)


class Unpicklable(Policy):
    def __init__(self, suite):
        self.answer = lambda: 0
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where responses are kept."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


class Stop(BenchmarkCallback):
    """Interrupts after so many responses."""

    def __init__(self, after: int) -> None:
        self._left = after

    def on_response(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise KeyboardInterrupt


def played(agent: Any, *, cache: str = "kept.sqlite", suite: Any = "zebra-mini", **options: Any) -> Benchmark:
    return benchmark(agent, suite, endpoint=EndpointOptions(cache=Path(cache)), **options)


def report(result: Benchmark) -> dict[str, Any]:
    """Without what an interrupt may change."""
    (cell,) = result.to_json()["cells"]
    return {name: value for name, value in cell.items() if name not in ("seconds", "reused")}


def test_a_checkpoint_goes_on_where_it_was_and_comes_to_the_same(model_folder: Path, folder: Path) -> None:
    options: dict[str, Any] = {"problems": 40, "rollouts": 4, "max_new_tokens": 8}
    agent = f"hf:{model_folder}"
    with pytest.raises(KeyboardInterrupt):
        played(agent, callback=Stop(100), **options)
    resumed = played(agent, **options)
    assert resumed.cells[0].reused == 100  # 25 problems
    assert report(resumed) == report(played(agent, cache="other.sqlite", **options))
    assert played(agent, **options).cells[0].reused == 160
    assert played(agent, **{**options, "seed": 1}).cells[0].reused == 0
    other = folder / "other"
    shutil.copytree(model_folder, other)
    assert played(f"hf:{other}", **options).cells[0].reused == 160, "the same files are the same model"
    (other / "model.safetensors").write_bytes((other / "model.safetensors").read_bytes()[:-4] + b"\0\0\0\0")
    assert played(f"hf:{other}", **options).cells[0].reused == 0


def test_adapters_are_known_by_the_model_beneath_them_too(model_folder: Path, folder: Path) -> None:
    pytest.importorskip("peft", reason="the lora extra is not installed")
    from mtgrpo_env.agents.llm.adapters import adapter_weights, save_adapters
    from mtgrpo_env.agents.llm.lora import with_lora
    from mtgrpo_env.agents.llm.policy import load_model, load_tokenizer

    base, adapters = folder / "base", folder / "adapters"
    shutil.copytree(model_folder, base)
    model = with_lora(load_model(base), rank=2, alpha=4, targets=("all-linear",))
    adapters.mkdir()
    save_adapters(model, {one.name: one.compute() for one in adapter_weights(model)}, adapters)
    load_tokenizer(base).save_pretrained(adapters)
    options: dict[str, Any] = {"problems": 4, "max_new_tokens": 8}
    assert [played(str(adapters), **options).cells[0].reused for _ in range(2)] == [0, 4]
    (base / "model.safetensors").write_bytes((base / "model.safetensors").read_bytes()[:-4] + b"\0\0\0\0")
    assert played(str(adapters), **options).cells[0].reused == 0


def test_a_policy_of_ones_own_is_known_by_its_code_and_its_state(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def play(right: bool, problems: int = 5) -> tuple[int, int]:
        """What was reused, and the observations that the policy was given."""
        (folder / "resumed_policy.py").write_text(POLICY.format(right=right) + f"# {right}\n")
        monkeypatch.delitem(sys.modules, "resumed_policy", raising=False)
        (folder / "calls.txt").write_text("")
        (cell,) = played("resumed_policy:Policy", problems=problems).cells
        assert [len(of_task) for of_task in cell.problems.values()] == [problems]
        return cell.reused, len((folder / "calls.txt").read_text())

    assert play(True) == (0, 5)
    assert play(True) == (5, 0)
    assert play(True, problems=8) == (5, 3)
    assert play(False) == (0, 5)


def test_a_policy_that_pickle_cannot_write_is_played_anew(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "resumed_policy.py").write_text(POLICY.format(right=True))
    monkeypatch.delitem(sys.modules, "resumed_policy", raising=False)
    for _ in range(2):
        assert played("resumed_policy:Unpicklable", problems=3).cells[0].reused == 0


def test_a_saved_agent_and_envs_of_any_kind_go_on_too(folder: Path) -> None:
    MTGRPOAgent(toy_suite(2), policy="tabular", seed=0).save(folder / "agent")
    first = played(str(folder / "agent"), suite={"toy": toy_suite(2)}, problems=6, rollouts=2)
    again = played(str(folder / "agent"), suite={"toy": toy_suite(2)}, problems=6, rollouts=2, save="saved.jsonl")
    assert (first.cells[0].reused, again.cells[0].reused) == (0, 12)
    assert report(first) == report(again)
    rows = [json.loads(line) for line in Path("saved.jsonl").read_text().splitlines()]
    assert len(rows) == 24
    assert rows[0]["actions"]
    assert {row["task"] for row in rows} == set(toy_suite(2).names)


def test_a_policy_that_is_passed_as_an_object_leaves_no_file(folder: Path) -> None:
    class Still:
        def act(self, observations: Any, task_ids: Any, *, deterministic: bool = False) -> Any:
            return [0] * len(observations), [None] * len(observations)

    benchmark([Still(), "random"], toy_suite(2), problems=2)
    assert list(folder.iterdir()) == []


def test_state_and_code_are_told_apart(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert pickled([1, 2]) == pickled([1, 2]) != pickled([1, 3])
    assert pickled(lambda: 0) is None
    before = own_code()
    (folder / "module_of_ones_own.py").write_text("x = 1")
    __import__("module_of_ones_own")
    assert own_code() != before
    monkeypatch.delitem(sys.modules, "module_of_ones_own")
    assert own_code() == before
