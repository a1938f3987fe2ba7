"""Rows that are chats: they stay messages, in the roles that they have."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mtgrpo_env.chat import ChatText, Message, messages_of
from mtgrpo_env.envs.countdown import Countdown
from mtgrpo_env.envs.mtreason import REASON_TASKS
from mtgrpo_env.envs.responses import read_responses, response_rows, score
from mtgrpo_env.envs.row_rewards import RowScorers
from mtgrpo_env.envs.row_scorers import VerifierScorer
from mtgrpo_env.envs.rows import RowsEnv, read_rows, rows_problems, rows_suite
from mtgrpo_env.envs.trl_rows import RowReward
from mtgrpo_env.paper_frame import framed
from mtgrpo_env.types import Group, Rollout, Step

ASKED = [{"role": "user", "content": "1+1?"}]
IN_FRAME = framed([Message("user", "1+1?")])
SYSTEM, TURN = {"role": "system", "content": "Be brief."}, {"role": "assistant", "content": "2"}
BEGUN, MORE = {"role": "assistant", "content": "It is"}, {"role": "user", "content": "Now 2+2?"}
TRUTH = {"numbers": "3,5,7", "target": 22}


def write_jsonl(folder: Path, row: Any) -> Path:
    path = folder / "rows.jsonl"
    path.write_text(json.dumps(row) + "\n")
    return path


@pytest.mark.parametrize(
    ("row", "messages", "answer"),
    [
        ({"prompt": ASKED, "answer": "2"}, ASKED, "2"),
        ({"prompt": [SYSTEM, *ASKED, TURN, MORE], "answer": "4"}, [SYSTEM, *ASKED, TURN, MORE], "4"),
        ({"messages": [SYSTEM, *ASKED, TURN]}, [SYSTEM, *ASKED], "2"),
        ({"messages": [*ASKED, TURN], "answer": "two"}, ASKED, "two"),
        (
            {"prompt": [*ASKED, BEGUN], "answer": "2"},
            [*ASKED, BEGUN],
            "2",
        ),
        ({"prompt": [{**SYSTEM, "role": "developer"}, *ASKED], "answer": "2"}, [SYSTEM, *ASKED], "2"),
        ({"prompt": [{**SYSTEM, "content": ""}, *ASKED], "answer": "2"}, ASKED, "2"),
        ({"prompt": [SYSTEM, {"role": "user", "content": IN_FRAME}], "answer": "2"}, [SYSTEM, *ASKED], "2"),
        (
            {"prompt": [*ASKED, TURN, {"role": "user", "content": "Iron?"}], "choices": ["Au", "Fe"], "answer": 1},
            [*ASKED, TURN, {"role": "user", "content": "Iron?\nA. Au\nB. Fe"}],
            {"target": "B", "choices": ["Au", "Fe"]},
        ),
        (
            {"prompt": [*ASKED, BEGUN], "choices": ["1", "2"], "answer": "2"},
            [{"role": "user", "content": "1+1?\nA. 1\nB. 2"}, BEGUN],
            {"target": "B", "choices": ["1", "2"]},
        ),
    ],
)
def test_a_chat_stays_a_chat(tmp_path: Path, row: Any, messages: Any, answer: Any) -> None:
    rows = read_rows(write_jsonl(tmp_path, row))
    suite = rows_suite(rows, reward=lambda completion, ground_truth: 1.0)
    shown, _ = suite.envs(0, 1)[0].reset(options={"index": 0})
    assert isinstance(shown, ChatText)
    assert [message.plain for message in shown.messages] == messages
    assert shown == "\n\n".join(message["content"] for message in messages)
    assert rows[0].ground_truth == answer
    assert RowReward(rows, reward=lambda completion, ground_truth: 1.0).records[0]["prompt"] == messages


def test_a_chat_in_a_column_that_is_named_ends_with_its_answer(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path, {"dialog": [*ASKED, TURN], "label": "2"})
    (row,) = read_rows(path, columns={"prompt": "dialog", "answer": "label"})
    assert row.prompt == "1+1?"


def test_a_run_does_not_resume_on_rows_whose_messages_changed(tmp_path: Path) -> None:
    chats = ([{**SYSTEM, "content": "Now"}, {**MORE, "content": "2+2?"}], [{**MORE, "content": "Now\n\n2+2?"}])
    contents: set[str] = set()
    for chat in chats:
        rows = [
            replace(row, columns={})
            for row in read_rows(
                write_jsonl(tmp_path, {"data_source": "countdown-easy-test", "prompt": chat, "ground_truth": TRUTH})
            )
        ]
        env = RowsEnv(VerifierScorer(Countdown(), name="countdown"), rows)
        contents.add(env.content(env.puzzles[0]))
    assert len(contents) == 2


def test_a_verifier_reads_the_last_question_alone(tmp_path: Path) -> None:
    examples = [{"role": "user", "content": "Gold?\nA. Au\nB. Fe"}, {"role": "assistant", "content": "A"}]
    asked = {"role": "user", "content": "Iron?\nA. Sn\nB. Fe\nC. W"}
    row = {"data_source": "science-easy-test", "prompt": [SYSTEM, *examples, asked], "ground_truth": {"target": "B"}}
    (read,) = read_rows(write_jsonl(tmp_path, row))
    puzzle: Any = VerifierScorer(REASON_TASKS["science"](), name="science").problem(read)
    assert (puzzle.question, puzzle.choices) == ("Iron?", ("Sn", "Fe", "W"))


def test_stored_responses_keep_the_chat(tmp_path: Path) -> None:
    rows = read_rows(write_jsonl(tmp_path, {"task": "turned", "prompt": [SYSTEM, *ASKED, TURN, MORE], "answer": "4"}))
    suite = rows_suite(rows, reward="number")
    rollout = Rollout((Step(rows[0].prompt, "The answer is 4.", 1.0),), 1.0, is_success=True)
    (stored,) = response_rows(suite, Group(rows_problems(suite, rows)[0], (rollout,)))
    (read,) = read_responses(write_jsonl(tmp_path, stored))
    assert messages_of(read.row.prompt) == messages_of(rows[0].prompt)
    (old,) = read_responses(write_jsonl(tmp_path, {**stored, "prompt": str(rows[0].prompt)}))
    assert old.row.prompt == read.row.prompt
    scorer = RowScorers().of(read.row)
    assert score(read, scorer).is_success
    assert score(old, scorer).is_success
