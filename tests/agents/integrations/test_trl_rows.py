"""Files of rows in TRL's trainer: the same rows and rewards as everywhere."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from datasets import Dataset
from trl_runs import config, make_model, minibatches_of, texts, tokenizer_with_template

from mtgrpo_env.agents.integrations.trl import MTGRPOTrainer
from mtgrpo_env.agents.llm.tiny import tiny_tokenizer
from mtgrpo_env.envs.rows import Row, RowsEnv, read_rows, rows_suite
from mtgrpo_env.envs.trl_rows import RowReward
from mtgrpo_env.types import SPLITS


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


def test_prompts_are_all_chats_where_any_row_is_one(rows: list[Row]) -> None:
    records = RowReward(rows, REWARDS).records
    data = Dataset.from_list(records)
    assert data[0]["prompt"] == [{"role": "user", "content": "0+1="}]
    assert data[-1]["prompt"] == [{"role": "user", "content": rows[records[-1]["row"]].prompt}]
    texts = RowReward([row for row in rows if row.task == "vowels"], vowels).records
    assert {type(record["prompt"]) for record in texts} == {str}


def test_a_chat_keeps_its_roles_and_shows_what_the_env_shows(tmp_path: Path) -> None:
    asked = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Which?"}]
    parts = [{"role": "user", "content": [{"type": "text", "text": "Which?"}]}]
    own = [
        {"prompt": asked, "choices": ["red", "blue"], "answer": "A"},
        {"prompt": parts, "answer": "A"},
        {"messages": [*asked, {"role": "assistant", "content": "A"}]},
        {"prompt": "Which?", "answer": "A"},
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in own))
    rows = read_rows(tmp_path / "rows.jsonl")
    reward = RowReward(rows, "exact")
    prompts = {record["row"]: record["prompt"] for record in reward.records + reward.held_out_records}
    assert all("\n\n".join(m["content"] for m in chat) == rows[i].prompt for i, chat in prompts.items())
    roles = {i: [message["role"] for message in chat] for i, chat in prompts.items()}
    assert roles.pop(0) == ["system", "user"]
    assert "blue" in prompts[0][1]["content"]
    assert set(map(tuple, roles.values())) <= {("user",), ("system", "user")}
    Dataset.from_list(reward.records)


def test_records_are_split_as_the_suites_problems_are(rows: list[Row]) -> None:
    """Each problem once, in the split that the suite has it in, and scored by its place among all rows."""
    repeated = [*rows, *rows[:5]]
    reward = RowReward(repeated, REWARDS)
    for split in SPLITS:
        records = reward.records if split == "train" else reward.held_out_records
        suite = rows_suite(repeated, reward=REWARDS, split=split)
        envs = [suite.envs(task_id, 1)[0].unwrapped for task_id in range(suite.num_tasks)]
        shown = [env.prompt(env.puzzles[i]) for env in envs if isinstance(env, RowsEnv) for i in env.indices(split)]
        assert [repeated[record["row"]].prompt for record in records] == shown
        assert [repeated[record["row"]].name for record in records] == [record["task"] for record in records]
        right = [str(repeated[record["row"]].ground_truth) or "aeiou" for record in records]
        assert reward(completions=right, row=[record["row"] for record in records]) == [1.0] * len(records)
    assert len(reward.records) + len(reward.held_out_records) == len(rows)
    assert reward.held_out_records


def test_trl_trains_on_rows_and_their_rewards(rows: list[Row], tmp_path: Path) -> None:
    plain = [row for row in rows if row.task == "vowels"]  # the tiny model has no chat template
    reward = RowReward(plain, vowels)
    trainer = MTGRPOTrainer(
        make_model(),
        reward,
        config(tmp_path / "run", max_steps=1, per_device_eval_batch_size=4),
        Dataset.from_list(reward.records),
        Dataset.from_list(reward.held_out_records),
        processing_class=tiny_tokenizer(),
        task_column="task",
    )
    trainer.train()
    assert trainer.suite.names == ("vowels",)
    assert any("rewards/row_reward/mean" in entry for entry in trainer.state.log_history)
    assert "eval_rewards/row_reward/mean" in trainer.evaluate()


def test_trl_trains_on_conversations_of_several_turns(tmp_path: Path) -> None:
    turns = [("system", "Count."), ("user", "1+1"), ("assistant", "2")]
    chats = [[*turns, ("user", f"{n}+1")] for n in range(20)]
    lines = [{"prompt": [{"role": r, "content": c} for r, c in chat], "least": 1} for chat in chats]
    (tmp_path / "vowels.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    reward = RowReward(read_rows(tmp_path / "vowels.jsonl"), vowels)
    trainer = MTGRPOTrainer(
        make_model(),
        reward,
        config(tmp_path / "run", max_steps=1),
        Dataset.from_list(reward.records),
        processing_class=tokenizer_with_template(),
    )
    trainer.train()
    (inputs,) = minibatches_of(trainer)
    shown = texts(inputs["prompt_ids"], inputs["prompt_mask"])
    written = {"s:Count.\nu:1+1\na:2\nu:" + record["prompt"][-1]["content"] + "\na:" for record in reward.records}
    assert set(shown) <= written
