"""A suite as a folder of tasks for the lm-evaluation-harness or inspect-ai: rows, and code that calls our verifiers.

The code names functions of this package and evaluates nothing that a model or a row says.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from mtgrpo_env.envs.export import Exported, write_rows
from mtgrpo_env.envs.lm_eval_task import system_message, worked_examples
from mtgrpo_env.envs.named_scorers import is_known, known_scorer
from mtgrpo_env.envs.row_scorers import VerifierScorer
from mtgrpo_env.files import atomic_folder, refuse_unwritable_folder
from mtgrpo_env.text_env import TextEnv

FolderFormat = Literal["lm-eval", "inspect"]
FOLDER_FORMATS: tuple[FolderFormat, ...] = get_args(FolderFormat)

_LM_EVAL_TASK = """\
task: {name}
custom_dataset: !function utils.dataset
dataset_kwargs:
  file: {file}
output_type: generate_until
test_split: test
doc_to_text: !function utils.prompt
doc_to_target: ""
process_results: !function utils.results
{opening}generation_kwargs:
  until: {until}
  do_sample: false
  max_gen_toks: {max_tokens}
metric_list:
  - {{metric: acc, aggregation: mean, higher_is_better: true}}
  - {{metric: reward, aggregation: mean, higher_is_better: true}}
  - {{metric: scored, aggregation: mean, higher_is_better: true}}
metadata:
  version: {version}
"""
_LM_EVAL_EXAMPLES = """\
num_fewshot: {count}
fewshot_config:
  sampler: first_n
  samples: {samples}
  doc_to_text: !function utils.example_prompt
  doc_to_target: !function utils.example_response
"""
_LM_EVAL_GROUP = """\
group: {name}
task:
{tasks}
aggregate_metric_list:
  - {{metric: acc, aggregation: mean, weight_by_size: false}}
  - {{metric: reward, aggregation: mean, weight_by_size: false}}
metadata:
  version: 1
"""
_LM_EVAL_UTILS = '''\
"""Functions of the tasks in this folder; mtgrpo_env must be installed."""

from functools import partial
from pathlib import Path

from mtgrpo_env.envs import lm_eval_task

prompt = lm_eval_task.prompt
example_prompt = lm_eval_task.example_prompt
example_response = lm_eval_task.example_response
results = partial(lm_eval_task.results, reward={reward!r})


def dataset(file, **_):
    return {{"test": lm_eval_task.documents(Path(__file__).with_name(file))}}
'''
_INSPECT = '''\
"""Tasks for `inspect eval`; mtgrpo_env must be installed."""

from pathlib import Path

from inspect_ai import task

from mtgrpo_env.envs.inspect_task import rows_task

HERE = Path(__file__).parent
'''
_INSPECT_TASK = """

@task
def {function}(max_tokens: int = {max_tokens}):
    return rows_task(HERE / {file!r}, max_tokens=max_tokens, reward={reward!r})
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class FolderOptions:
    """What the code of a folder says.

    Attributes:
        name: of the group of all tasks.
        max_tokens: longest response.
        reward: that scores rows of one's own; None for verifiers.
        stop: strings that end a response.
    """

    name: str
    max_tokens: int = 1024
    reward: str | None = None
    stop: tuple[str, ...] = ()


def refuse_used_folder(folder: Path) -> None:
    """Make sure that `write_folder` can make the folder, before anything is exported.

    Raises:
        ValueError: if there is something of that name.
        OSError: if it cannot be made.
    """
    if folder.exists():
        raise ValueError(
            f"out must be a new folder, as its code and its rows belong together; {str(folder)!r} is there"
        )
    refuse_unwritable_folder(folder)


def write_folder(
    rows: Iterable[Mapping[str, Any]], folder: Path, form: FolderFormat, options: FolderOptions
) -> Exported:
    """Write a new folder, which appears when it is complete: a file of rows for each task, and what the tool reads.

    Raises:
        ValueError: if there is something of that name; or naming what the harness has no place for: a task of several
            turns, or messages before the prompt that differ from row to row.
        OSError: if the folder cannot be made.
    """
    refuse_used_folder(folder)
    of_task: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        of_this = of_task.setdefault(_task_name(row), [])
        if form == "lm-eval" and not of_this and options.reward is None:
            _check_one_turn(row)
        of_this.append(dict(row))
    if not of_task:
        raise ValueError("expected at least one problem to export, got none")
    with atomic_folder(folder) as unfinished:
        for task, of_this in of_task.items():
            write_rows(of_this, unfinished / f"{task}.jsonl")
        for name, text in _CODE[form](of_task, options).items():
            (unfinished / name).write_text(text, encoding="utf-8")
        exported = write_rows((row for of_this in of_task.values() for row in of_this), unfinished / ".all.jsonl")
        (unfinished / ".all.jsonl").unlink()
    return exported


def _lm_eval(tasks: Mapping[str, list[dict[str, Any]]], options: FolderOptions) -> dict[str, str]:
    group = f"mtgrpo_{_slug(options.name)}"
    names = {task: f"mtgrpo_{task}" for task in tasks}
    if group in names.values():
        group = f"{group}_suite"
    files = {
        f"{names[task]}.yaml": _LM_EVAL_TASK.format(
            name=names[task],
            file=json.dumps(f"{task}.jsonl"),
            until=json.dumps(list(options.stop)),
            max_tokens=options.max_tokens,
            opening=_opening(rows),
            version=rows[0]["extra_info"]["version"],
        )
        for task, rows in tasks.items()
    }
    listed = "\n".join(f"  - {name}" for name in names.values())
    files[f"{group}.yaml"] = _LM_EVAL_GROUP.format(name=group, tasks=listed)
    return {**files, "utils.py": _LM_EVAL_UTILS.format(reward=options.reward)}


def _opening(rows: Sequence[Mapping[str, Any]]) -> str:
    """What stands before every prompt of a task, as the harness has it: a description and worked examples.

    Raises:
        ValueError: if they differ from row to row.
    """
    openings = [(system_message(row), worked_examples(row)) for row in rows]
    if any(opening != openings[0] for opening in openings):
        raise ValueError(f"{rows[0]['data_source']}: for lm-eval the same messages must stand before every prompt")
    system, examples = openings[0]
    text = "description: description\n" if system else ""
    if examples:
        text += _LM_EVAL_EXAMPLES.format(count=len(examples), samples=json.dumps(examples, ensure_ascii=False))
    return text


def _inspect(tasks: Mapping[str, list[dict[str, Any]]], options: FolderOptions) -> dict[str, str]:
    parts = [
        _INSPECT_TASK.format(
            function=re.sub(r"\W", "_", f"_{task}" if task[0].isdigit() else task),
            file=f"{task}.jsonl",
            max_tokens=options.max_tokens,
            reward=options.reward,
        )
        for task in tasks
    ]
    return {"tasks.py": "".join([_INSPECT, *parts])}


_CODE: Mapping[FolderFormat, Callable[[Mapping[str, list[dict[str, Any]]], FolderOptions], dict[str, str]]] = {
    "lm-eval": _lm_eval,
    "inspect": _inspect,
}


def _task_name(row: Mapping[str, Any]) -> str:
    """Of the file and of the task: the row's source without its split, in letters that both may have."""
    source, split = row["data_source"], row["extra_info"]["split"]
    return _slug(source.removesuffix(f"-{split}") if split else source)


def _slug(name: str) -> str:
    return re.sub(r"[^0-9A-Za-z_-]+", "_", name).strip("_") or "tasks"


def _check_one_turn(row: Mapping[str, Any]) -> None:
    named = json.loads(row["reward_model"]["ground_truth"])["task"]
    scorer = known_scorer(named) if is_known(named) else None
    if isinstance(scorer, VerifierScorer) and type(scorer.task).reply is not TextEnv.reply:
        source = row["data_source"]
        raise ValueError(f"{source}: lm-eval asks once, and this task has several turns; export it to inspect")
