"""Folders of tasks for evaluators: what is in them, without the evaluators."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path
from typing import Any

import pytest
from harness_tasks import read_task

from mtgrpo_env.envs import lm_eval_task
from mtgrpo_env.envs.export import export_rows, fresh_problems
from mtgrpo_env.envs.mtreason import reason_suite
from mtgrpo_env.envs.task_folders import FolderOptions, write_folder


def utils_of(folder: Path) -> Any:
    spec = importlib.util.spec_from_file_location("utils_of_a_folder", folder / "utils.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rows_of(*tasks: str, count: int = 3) -> list[dict[str, Any]]:
    suite = reason_suite(tasks, split="test", seed=0)
    return list(export_rows(suite, fresh_problems(suite, count)))


def test_a_folder_for_the_harness_has_a_task_for_each_task_and_a_group(tmp_path: Path) -> None:
    options = FolderOptions(name="easy ones", max_tokens=64)
    exported = write_folder(rows_of("countdown-easy", "zebra-easy"), tmp_path / "out", "lm-eval", options)
    names = ["countdown-easy", "zebra-easy"]
    assert exported.rows == 6
    assert {file.name for file in (tmp_path / "out").iterdir()} == {
        *(f"{name}.jsonl" for name in names),
        *(f"mtgrpo_{name}.yaml" for name in names),
        "mtgrpo_easy_ones.yaml",
        "utils.py",
    }
    assert read_task(tmp_path / "out" / "mtgrpo_easy_ones.yaml")["task"] == [f"mtgrpo_{name}" for name in names]
    task = read_task(tmp_path / "out" / "mtgrpo_zebra-easy.yaml")
    assert task["process_results"] == "function utils.results"
    assert task["dataset_kwargs"] == {"file": "zebra-easy.jsonl"}
    assert task["generation_kwargs"] == {"until": [], "do_sample": False, "max_gen_toks": 64}
    assert {"num_fewshot", "description"}.isdisjoint(task)


def test_its_functions_give_our_verdicts_and_leave_out_what_no_scorer_could_judge(tmp_path: Path) -> None:
    pytest.importorskip("datasets")
    suite = reason_suite(["countdown-easy"], split="test", seed=0)
    write_folder(rows_of("countdown-easy"), tmp_path / "out", "lm-eval", FolderOptions(name="countdown-easy"))
    utils = utils_of(tmp_path / "out")
    documents = utils.dataset("countdown-easy.jsonl", version=1)["test"]
    for document, problem in zip(documents, fresh_problems(suite, 3), strict=True):
        env: Any = suite.envs(0, 1)[0]
        observation, _ = env.reset(seed=problem.seed, options=dict(problem.options) or None)
        oracle = env.unwrapped.oracle(env.unwrapped.puzzle)
        assert utils.prompt(document) == observation
        assert utils.results(document, [oracle]) == {"acc": 1.0, "reward": 1.0, "scored": 1.0}
        assert utils.results(document, [r"\boxed{1+1}"])["acc"] == 0.0
    assert (tmp_path / "out" / "mtgrpo_countdown-easy_suite.yaml").is_file(), "a group has a name of its own"


def test_where_a_scorer_fails_the_harness_is_given_nothing_to_average() -> None:
    row = {"data_source": "own", "reward_model": {"ground_truth": None}, "extra_info": {"question": "?"}}
    found = [lm_eval_task.results(row, [text], reward="own_rewards:trl_poisoned") for text in ("fine", "poison")]
    assert found == [{"acc": 1.0, "reward": 1.0, "scored": 1.0}, {"scored": 0.0}]


def test_a_folder_for_inspect_has_a_function_for_each_task_and_no_text_of_a_row(tmp_path: Path) -> None:
    rows = rows_of("countdown-easy", "guessing-mini")
    rows[0]["data_source"] = "'); import os # -test"
    options = FolderOptions(name="x", max_tokens=9, reward="own_rewards:broken")
    write_folder(rows, tmp_path / "out", "inspect", options)
    tree = ast.parse((tmp_path / "out" / "tasks.py").read_text())
    functions = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    assert functions == ["import_os", "guessing_mini", "countdown_easy"]
    modules = [node.module for node in tree.body if isinstance(node, ast.ImportFrom)]
    assert modules == ["pathlib", "inspect_ai", "mtgrpo_env.envs.inspect_task"]
    assert not any(isinstance(node, ast.Import) for node in ast.walk(tree))


def test_rows_whose_beginnings_differ_are_refused_for_the_harness(tmp_path: Path) -> None:
    first, second = rows_of("arc-mini", count=2)
    first["prompt"].insert(0, {"role": "system", "content": "Be brief."})
    with pytest.raises(ValueError, match="the same messages must stand before every prompt"):
        write_folder([first, second], tmp_path / "out", "lm-eval", FolderOptions(name="x"))
    assert not (tmp_path / "out").exists()
