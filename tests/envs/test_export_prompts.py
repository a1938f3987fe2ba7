"""Prompts of exported rows: chats as they are, what stands around them, and the paper's form."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from mtgrpo_env.chat import ChatFrame, Message, messages_of
from mtgrpo_env.envs.export import PROMPTS, content_hash, export_rows, fresh_problems, write_rows
from mtgrpo_env.envs.mtreason import reason_suite
from mtgrpo_env.envs.rows import read_rows, rows_problems, rows_suite, shared_problems
from mtgrpo_env.paper_frame import framed


def backwards(completion: str, word: str) -> float:
    return float(completion == word[::-1])


SYSTEM = {"role": "system", "content": "Be brief."}
SOLVED = [{"role": "user", "content": "1+1?"}, {"role": "assistant", "content": "2"}]
CHAT = [SYSTEM, *SOLVED, {"role": "user", "content": "2+2?"}, {"role": "assistant", "content": "It is"}]


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_a_chat_is_written_and_read_as_it_was(suffix: str, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    asked = [{"prompt": CHAT, "word": "abc"}, {"question": "Turn de around.", "word": "de"}]
    (tmp_path / "mine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in asked))
    rows = read_rows(tmp_path / "mine.jsonl")
    suite = rows_suite(rows, reward=backwards)
    said = write_rows(export_rows(suite, rows_problems(suite, rows)), tmp_path / f"rows{suffix}")
    again = read_rows(tmp_path / f"rows{suffix}")
    assert [messages_of(row.prompt) for row in again] == [messages_of(row.prompt) for row in rows]
    assert [row.prompt for row in again] == [row.prompt for row in rows]
    assert said.content_hash == content_hash(rows) == content_hash(again)
    flat = [replace(row, prompt=str(row.prompt)) for row in rows]
    assert content_hash(flat) != content_hash(rows)


@pytest.mark.parametrize("name", ["countdown-easy", "science-easy", "math-easy", "guessing-easy", "zebra-mini"])
def test_a_frame_is_written_around_each_question_and_is_no_part_of_the_problem(name: str, tmp_path: Path) -> None:
    suite = reason_suite([name])
    problems = list(fresh_problems(suite, 3))
    frame = ChatFrame("Be brief.", examples=(tuple(Message(**message) for message in SOLVED),))
    write_rows(export_rows(suite, problems), tmp_path / "bare.jsonl")
    write_rows(export_rows(suite, problems, frame.messages), tmp_path / "framed.jsonl")
    bare, read = read_rows(tmp_path / "bare.jsonl"), read_rows(tmp_path / "framed.jsonl")
    for before, after in zip(bare, read, strict=True):
        assert messages_of(after.prompt) == frame.messages(before.prompt, 0)
        assert after.question == before.question == before.prompt
    assert len(shared_problems(bare, read)) == 3


def test_prompts_of_the_papers_form_are_the_papers(tmp_path: Path) -> None:
    suite = reason_suite(["countdown-easy", "guessing-easy"])
    problems = list(fresh_problems(suite, 2))
    chats, papers = (list(export_rows(suite, problems, PROMPTS[form](ChatFrame()))) for form in ("chat", "paper"))
    for chat, paper in zip(chats, papers, strict=True):
        (asked,), (shown,) = chat["prompt"], paper["prompt"]
        assert shown == {"role": "user", "content": framed([Message(**asked)])}
    said = [write_rows(rows, tmp_path / f"{i}.jsonl").content_hash for i, rows in enumerate((chats, papers))]
    assert said[0] == said[1] == content_hash(read_rows(tmp_path / "1.jsonl"))
