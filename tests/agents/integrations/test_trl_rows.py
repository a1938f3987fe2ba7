"""Files of rows in TRL's trainer: the same rows and rewards as everywhere."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from datasets import Dataset
from trl_runs import config, make_model

from mtgrpo_env.agents.integrations.trl import MTGRPOTrainer
from mtgrpo_env.agents.llm.tiny import tiny_tokenizer
from mtgrpo_env.envs.rows import Row, read_rows, rows_suite
from mtgrpo_env.envs.trl_rows import RowReward


def vowels(completion: str, least: int) -> float:
    return float(sum(letter in "aeiou" for letter in completion) >= least)


REWARDS = {"sums": "number", "vowels": vowels}


@pytest.fixture
def rows(tmp_path: Path) -> list[Row]:
    sums = [{"prompt": [{"role": "user", "content": f"{n}+1="}], "answer": n + 1} for n in range(20)]
    vowels_rows = [{"question": f"vowels {n}:", "least": n % 3} for n in range(20)]
    for name, of_task in (("sums", sums), ("vowels", vowels_rows)):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in of_task))
    return [row for name in ("sums", "vowels") for row in read_rows(tmp_path / f"{name}.jsonl")]


def test_completions_earn_what_they_earn_in_the_env(rows: list[Row]) -> None:
    reward, suite = RowReward(rows, REWARDS), rows_suite(rows, reward=REWARDS)
    places, texts = [0, 3, 20, 22], ["1", "7", "", "aeiou"]
    completions = [[{"role": "assistant", "content": text}] for text in texts[:2]] + texts[2:]
    of_trl = reward(completions=completions, row=places, prompts=["?"] * 4, task=["?"] * 4)
    of_env = []
    for place, text in zip(places, texts, strict=True):
        env = suite.envs(place // 20, 1)[0]
        env.reset(options={"index": place % 20})
        of_env.append(env.step(text)[1])
    assert of_trl == of_env == [1.0, 0.0, 1.0, 1.0]


def test_trl_trains_on_rows_and_their_rewards(rows: list[Row], tmp_path: Path) -> None:
    plain = [row for row in rows if row.task == "vowels"]  # the tiny model has no chat template
    reward = RowReward(plain, vowels)
    trainer = MTGRPOTrainer(
        make_model(),
        reward,
        config(tmp_path / "run", max_steps=1),
        Dataset.from_list(reward.records),
        processing_class=tiny_tokenizer(),
        task_column="task",
    )
    trainer.train()
    assert trainer.suite.names == ("vowels",)
    assert any("rewards/row_reward/mean" in entry for entry in trainer.state.log_history)
