"""The model card of a checkpoint: what the hub reads of it, and for people the tasks, the worst first."""

from __future__ import annotations

import html
import math
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from mtgrpo_env.agents.config import MAY_CHANGE, TrainConfig
from mtgrpo_env.agents.reports import chance_columns
from mtgrpo_env.agents.reports.markdown import percent, table
from mtgrpo_env.agents.reports.task_table import TaskRow
from mtgrpo_env.chance import TaskChance
from mtgrpo_env.metrics import average
from mtgrpo_env.redaction import redacted
from mtgrpo_env.visible_text import one_line

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)
_NOT_IN_A_SLUG = re.compile(r"[^\w.-]+", re.ASCII)
_PACKAGES = ("mtgrpo-env", "torch", "transformers", "peft")
_ENGINE = (MAY_CHANGE - {"steps"}) | {"out", "model", "tasks"}  # no part of what makes the model, or said first
_LOADING = """```python
from transformers import AutoModelForCausalLM, AutoTokenizer

model = AutoModelForCausalLM.from_pretrained("{repo}")
tokenizer = AutoTokenizer.from_pretrained("{repo}")
```"""


@dataclass(frozen=True, slots=True)
class CardContent:
    """What a card says.

    Attributes:
        repo_id: where the model will be.
        options: of the run, as its file has them.
        rows: of the tasks at the checkpoint's evaluation.
        step: of the checkpoint.
        has_adapters: whether it holds adapters for another model.
        constants: what the best constant answers are, in words.
    """

    repo_id: str
    options: Mapping[str, Any]
    rows: Sequence[TaskRow]
    step: int
    has_adapters: bool
    constants: str


def hub_id(model: str | None) -> str | None:
    """The starting model by its name on the hub; None of a folder, and of the tiny model."""
    return model if model and _HUB_ID.fullmatch(model) and not Path(model).exists() else None


def model_card(content: CardContent) -> str:
    """The card in Markdown, below its front matter in YAML."""
    return f"---\n{_front_matter(content)}\n---\n\n{_body(content)}"


def _front_matter(content: CardContent) -> str:
    from huggingface_hub import EvalResult, ModelCardData

    results = [
        EvalResult(
            task_type="text-generation",
            dataset_type=_NOT_IN_A_SLUG.sub("-", row.task).strip("-.") or "task",
            dataset_name=one_line(row.task),
            metric_type="accuracy",
            metric_name="held-out accuracy",
            metric_value=round(row.accuracy, 4),
        )
        for row in content.rows
        if not math.isnan(row.accuracy)
    ]
    base = hub_id(content.options.get("model"))
    relation = {"base_model_relation": "adapter" if content.has_adapters else "finetune"} if base else {}
    data = ModelCardData(
        base_model=base,
        library_name="peft" if content.has_adapters else "transformers",
        pipeline_tag="text-generation",
        tags=["mtgrpo", "grpo", "multi-task", "reinforcement-learning"],
        model_name=content.repo_id.rpartition("/")[2],
        eval_results=results,
        **relation,
    )
    return data.to_yaml()


def _body(content: CardContent) -> str:
    worst = content.rows[0]
    base = hub_id(content.options.get("model"))
    named = f"[{base}](https://huggingface.co/{base})" if base else "a model that is not on the hub"
    kind = "Adapters (LoRA) for" if content.has_adapters else "Post-trained from"
    parts = [
        f"# {content.repo_id.rpartition('/')[2]}",
        f"{kind} {named}, by multi-task GRPO (`{_plain(content.options['method'])}`), step {content.step}. The worst "
        f"of {len(content.rows)} tasks is {_text(worst.task)}, at {percent(worst.interval)} %.",
        "## Tasks",
        "Accuracy in per cent on problems held out from training, the worst task first; brackets are 95 % intervals "
        "over problems. A guess and the best constant answer are what no thinking comes to; "
        f"{chance_columns.MARK} marks an accuracy that is not above both by more than its interval."
        + (f" {_text(content.constants[0].upper() + content.constants[1:])}" if content.constants else ""),
        _table(content.rows),
        "## Use",
        _LOADING.format(repo=content.repo_id),
        "## How it was made",
        f"```bash\n{command_of(content.options)}\n```",
        "Versions when this card was written: " + ", ".join(f"{name} {of}" for name, of in _versions()) + ".",
    ]
    return "\n\n".join(parts) + "\n"


def _table(rows: Sequence[TaskRow]) -> str:
    header = ["task", "start", "accuracy", *chance_columns.COLUMNS, "problems"]
    lines = [_line(row) for row in rows]
    known = [row for row in rows if not math.isnan(row.accuracy)]
    mean = average([row.accuracy for row in known])
    start = average([row.start for row in known])
    overall = ["**average**", _percent(start), _percent(mean), *[""] * len(chance_columns.COLUMNS), ""]
    return table(header, [*lines, overall])


def _line(row: TaskRow) -> list[str]:
    chance = TaskChance(row.guess, row.constant, "")
    accuracy = f"{percent(row.interval)}{chance_columns.mark(row.low, chance)}"
    return [_text(row.task), _percent(row.start), accuracy, *chance_columns.cells(chance), f"{row.problems:,}"]


def command_of(options: Mapping[str, Any]) -> str:
    """The command that trains the same model elsewhere, without secrets and without the paths of this machine."""
    defaults = TrainConfig().plain
    words = ["mtgrpo", "train"]
    chosen = {name: options[name] for name in ("model", "tasks") if options.get(name) is not None}
    chosen |= {
        name: options[name]
        for name in defaults
        if name not in _ENGINE and options.get(name, defaults[name]) not in (defaults[name], None)
    }
    for name, value in chosen.items():
        flag = f"--{name.replace('_', '-')}"
        if isinstance(value, bool):
            words.append(flag if value else f"--no-{flag[2:]}")
        else:
            given = value if isinstance(value, list) else [value]
            words += [flag, *(shlex.quote(_without_paths(_plain(part))) for part in given)]
    return " ".join(words)


def _without_paths(text: str) -> str:
    """Of every path that comma-separated parts name, its last part."""
    return ",".join(Path(part).name if _is_path(part) else part for part in text.split(","))


def _is_path(text: str) -> bool:
    return text.startswith(("/", "~", "./", "../")) or ("/" in text and Path(text).exists())


def _versions() -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for name in _PACKAGES:
        try:
            found.append((name, version(name)))
        except PackageNotFoundError:
            continue
    return found


def _percent(share: float) -> str:
    return "-" if math.isnan(share) else f"{100 * share:.1f}"


def _plain(value: Any) -> str:
    return redacted(one_line(str(value))).replace("`", "'")


def _text(text: str) -> str:
    return html.escape(_plain(text), quote=False)
