"""A run's options: what is refused, and that a file of them is read back as it was."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtgrpo_env import prompt_options, row_options
from mtgrpo_env.agents import config as config_module
from mtgrpo_env.agents import options
from mtgrpo_env.agents.config import TrainConfig
from mtgrpo_env.agents.neural.schedules import SCHEDULES
from mtgrpo_env.agents.options import GROUPS

TEXTS = st.text(st.characters(blacklist_categories=("Cs",)), min_size=1)
NUMBERS = st.floats(1e-12, 1e6, allow_subnormal=False)


def configs() -> st.SearchStrategy[TrainConfig]:
    """Configs whose every kind of option is drawn."""
    counts = st.integers(1, 10**9)
    free = st.fixed_dictionaries(
        {},
        optional={
            "out": TEXTS.map(Path),
            "tasks": st.lists(TEXTS, min_size=1, max_size=3).map(tuple),
            "model": st.none() | TEXTS,
            "device": TEXTS,
            "lr": NUMBERS,
            "share_by": st.sampled_from(["prompts", "tokens", "advantages"]),
            "steps": counts,
            "seed": st.integers(0, 2**63 - 1),
            "group_size": st.integers(2, 10**9),
            "activation_checkpointing": st.booleans(),
            "stop": st.lists(TEXTS, max_size=2).map(tuple),
        },
    )
    engines = st.sampled_from(
        [
            {},
            {"engine": "deepspeed", "zero_stage": 3, "offload": "all", "dtype": "bfloat16"},
            {"rollouts": "vllm", "vllm_memory": 0.9, "vllm_sleep": 1},
            {"importance": "token", "importance_cap": 3.5},
        ]
    )
    methods = st.sampled_from(
        [
            {},
            {"method": "dapo"},
            {"method": "quota-mt-grpo", "tolerance": 0.05},
            {"method": "mt-grpo-0.9@released", "weight_lr": 4},
            {"method": "quota-iwu", "weight_optimizer": "gradient-descent", "reward_coef": 1e-7},
        ]
    )
    return st.tuples(free, engines, methods).map(lambda drawn: TrainConfig(**{**drawn[0], **drawn[1], **drawn[2]}))


@settings(deadline=None, derandomize=True)
@given(config=configs())
def test_what_is_written_is_read_back(config: TrainConfig, tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("config") / "config.yaml"
    config.write(file)
    assert TrainConfig.read(file) == config


def test_the_minibatches_that_were_not_asked_for_are_as_many_as_a_small_batch_has_groups() -> None:
    assert TrainConfig(batch_size=2).minibatches > 2


def test_every_option_is_in_one_group_documented_and_shown_if_changed() -> None:
    names = [field.name for group in GROUPS.values() for field in fields(group)]
    assert names == [field.name for field in fields(TrainConfig)]
    source = "".join(Path(module.__file__ or "").read_text() for module in (options, row_options, prompt_options))
    for name in names:
        line = next(line for line in source.splitlines() if line.startswith(f"    {name}: "))
        assert source[source.index(line) + len(line) :].lstrip().startswith('"""'), f"{name} is not documented"
    assert repr(TrainConfig(steps=200, lr=1e-3)) == "TrainConfig(steps=200, lr=0.001)"


def test_a_file_has_its_groups_as_comments_and_says_every_option(tmp_path: Path) -> None:
    TrainConfig().write(tmp_path / "a.yaml")
    text = (tmp_path / "a.yaml").read_text()
    assert [line.split(":")[0][2:] for line in text.splitlines() if line.startswith("#")] == list(GROUPS)
    assert all(f"\n{field.name}:" in text for field in fields(TrainConfig))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("lr: 4e-4", {"lr": 4e-4}),
        ("lr: 1", {"lr": 1.0}),
        ("tasks: mini-nine", {"tasks": ("mini-nine",)}),
        ("tasks: [zebra-easy, 'my.module:Task']\nsteps: 3", {"tasks": ("zebra-easy", "my.module:Task"), "steps": 3}),
        ("", {}),
    ],
)
def test_a_file_may_be_written_by_hand(tmp_path: Path, text: str, expected: dict[str, Any]) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(text)
    assert TrainConfig.read(file) == TrainConfig(**expected)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("stepz: 3", "there is no option 'stepz'; did you mean 'steps'?"),
        ("preset: paper", "there is no option 'preset'"),
        ("steps: many", "steps must be an integer, got 'many'"),
        ("steps: 3.0", "steps must be an integer, got 3.0"),
        ("steps: true", "steps must be an integer, got True"),
        ("lr: fast", "lr must be a finite number, got 'fast'"),
        ("lr: .nan", "lr must be a finite number, got nan"),
        ("model: 7", "model must be a string, got 7"),
        ("activation_checkpointing: 1", "activation_checkpointing must be true or false, got 1"),
        ("tasks: [1]", "tasks must be a string, or at least one in a list, got [1]"),
        ("loss: mean", "loss must be one of ['sequence-mean', 'token-mean', 'group-mean', 'dr-grpo', 'gspo']"),
        ("- steps", "expected options like 'steps: 60', got ['steps']"),
        ("steps: [", "is no YAML"),
    ],
)
def test_a_mistake_in_a_file_is_refused_by_file_and_option(tmp_path: Path, text: str, complaint: str) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(text)
    with pytest.raises(ValueError) as refusal:  # noqa: PT011  # the text is compared below
        TrainConfig.read(file)
    assert str(refusal.value).startswith(str(file))
    assert complaint in str(refusal.value)


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"group_size": 1}, "group_size must be at least 2, got 1"),
        ({"temperature": 0}, "temperature must be at least 1e-06, got 0.0"),
        ({"temperature": 1e-45}, "temperature must be at least 1e-06, got 1e-45"),
        ({"eval_temperature": 1e-45}, "eval_temperature, unless it is 0, must be at least 1e-06, got 1e-45"),
        ({"minibatches": 5, "batch_size": 4}, "minibatches must be at most batch_size, 4 groups, got 5"),
        ({"seed": -1}, "seed must be at least 0, got -1"),
        ({"rollouts": "http://me:pass@host:8000"}, "rollouts must hold no password or key: options stand in the files"),
        ({"tasks": ["mini", "https://me:pass@host/a.jsonl"]}, "tasks must hold no password or key"),
        ({"rollouts": "vllm", "vllm_memory": 0}, "vllm_memory must be above 0 and at most 1, got 0.0"),
        ({"rollouts": "vllm", "vllm_memory": 1.5}, "vllm_memory must be above 0 and at most 1, got 1.5"),
        ({"keep_checkpoints": 0}, "keep_checkpoints must be at least 1, got 0"),
        ({"stop": ("a", "")}, "stop must be strings, none of them empty, got ('a', '')"),
        ({"steps": -1}, "steps must be at least 0, got -1"),
        ({"kl_coef": -1}, "kl_coef must be at least 0, got -1.0"),
        ({"lora_rank": -1}, "lora_rank must be at least 0, got -1"),
        ({"engine": "other"}, "engine must be one of ['torch', 'deepspeed'], got 'other'"),
        ({"rollouts": "sglang"}, "rollouts must be transformers, vllm or http:// URLs, got 'sglang'"),
        ({"lr_floor": 0.1}, "lr_floor needs lr_schedule linear or cosine, which is not chosen: got lr_floor=0.1"),
        ({"lr_schedule": "linear", "lr_floor": 2}, "lr_floor must be at least 0 and at most 1, got 2.0"),
        ({"steps": 9, "warmup_steps": 9}, "warmup_steps must be from 0 to below the run's steps, 9, got 9"),
        ({"weight_decay": -1}, "weight_decay must be at least 0, got -1.0"),
        ({"adam_beta1": 1}, "adam_beta1 must be at least 0 and below 1, got 1.0"),
        ({"adam_beta2": -0.5}, "adam_beta2 must be at least 0 and below 1, got -0.5"),
        ({"max_grad_norm": 0}, "max_grad_norm must be above 0, got 0.0"),
        ({"zero_stage": 3}, "zero_stage needs engine deepspeed, which is not chosen: got zero_stage=3"),
        ({"offload": "all"}, "offload needs engine deepspeed"),
        ({"vllm_memory": 0.5}, "vllm_memory needs rollouts vllm"),
        ({"rollouts": "http://a:1", "vllm_sleep": 1}, "vllm_sleep needs rollouts vllm"),
        ({"rollouts": "http://a:1", "stratified": True}, "stratified needs rollouts transformers"),
        ({"group_size": 2, "stratified": True}, "stratified needs groups of 4 or more, got group_size 2"),
        (
            {"min_group_size": 2, "stratified": True},
            "stratified needs groups of 4 or more, got min_group_size 2",
        ),
        ({"importance_cap": 3.0}, "importance_cap needs importance token or sequence"),
        ({"importance": "token", "importance_cap": 0.5}, "importance_cap must be at least 1, got 0.5"),
        ({"model": "m", "start": "rare"}, "start needs the tiny model"),
        ({"zero_stage": True}, "zero_stage must be one of [0, 2, 3], got True"),
        ({"method": "ppo"}, "method must be one of ['quota-mt-grpo', 'mt-grpo', 'grpo', 'dapo'"),
        ({"method": "dapo", "tolerance": 0.1}, "tolerance is no option of the method 'dapo', which takes []"),
        ({"method": "mt-grpo-0.9", "reward_coef": 0.1}, "reward_coef is no option of the method 'mt-grpo-0.9'"),
        ({"max_step_kl": 0}, "max_step_kl must be above 0, got 0.0"),
        ({"truncated": "drop"}, "truncated must be one of ['keep', 'mask', 'penalty'], got 'drop'"),
        ({"filter": "strict"}, "filter must be one of ['success', 'reward'], got 'strict'"),
        ({"method": "dapo", "max_replayed": 0.5}, "max_replayed is no option of the method 'dapo', which takes []"),
        (
            {"weight_lr": 0.1},
            "weight_lr is no option of the method 'quota-mt-grpo', which takes ['max_",
        ),
        (
            {"columns": "question"},
            "columns must be like 'prompt=problem', with one of ['prompt', 'answer', 'task', 'level'",
        ),
        ({"columns": ["prompt=a", "prompt=b"]}, "columns of 'prompt' must be one, got 'a' and 'b'"),
        ({"reward": ["number", "exact"]}, "reward must be one, got 'number' and 'exact'"),
        ({"reward": ["add=number", "add=exact"]}, "reward of 'add' must be one, got 'number' and 'exact'"),
        ({"reward": 3}, "reward must be a string, or at least one in a list, got 3"),
        ({"tasks": ()}, "tasks must be a string, or at least one in a list, got ()"),
    ],
)
def test_a_wrong_option_is_refused_by_name(wrong: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError) as refusal:  # noqa: PT011  # the text is compared below
        TrainConfig(**wrong)
    assert complaint in str(refusal.value)


def test_choices_stand_in_one_place_with_what_they_name() -> None:
    losses = pytest.importorskip("mtgrpo_env.agents.neural.losses")
    build = pytest.importorskip("mtgrpo_env.agents.llm.build")
    warm_start = pytest.importorskip("mtgrpo_env.agents.llm.warm_start")
    hints = config_module._hints()
    for name, known in {
        "loss": losses.LOSSES,
        "lr_schedule": SCHEDULES,
        "importance": losses.IMPORTANCE,
        "share_by": build.SHARED_BY,
        "start": warm_start.STARTS,
    }.items():
        assert set(get_args(hints[name])) == set(known)
