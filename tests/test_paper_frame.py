"""The paper's frame: its rows come back to the letter, and a question is found in its own frame."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mtgrpo_env.chat import Message, continued, messages_of
from mtgrpo_env.envs.mtreason import PAPER_TASKS
from mtgrpo_env.paper_frame import PREAMBLE, framed, question_of

WORDS = "Let me solve this step by step."


@given(st.text())
@example("")
@example(f"?\nAssistant: {WORDS}")
@example(f"{PREAMBLE}User: ")
def test_the_question_of_a_framed_question_is_the_question(question: str) -> None:
    assert question_of(framed([Message("user", question)])) == question


@given(st.text())
@example(f"{PREAMBLE}User: Why?")
@example(f"{PREAMBLE}User: \nAssistant: {WORDS}"[:-1])
def test_any_other_text_is_the_question_itself(text: str) -> None:
    assert question_of(text) == text


@pytest.mark.parametrize("name", PAPER_TASKS)
def test_the_papers_prompts_are_written_again_to_the_letter(name: str, paper_tasks: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = parquet.read_table(paper_tasks / f"{name}_test.parquet").to_pylist()
    assert len(rows) >= 400
    for row in rows:
        prompt = row["prompt"][0]["content"]
        assert question_of(prompt) != prompt
        assert framed(messages_of(question_of(prompt))) == prompt


def test_several_turns_are_one_dialogue() -> None:
    asked = continued(continued("1+1?", " 3.", "Less."), " 1.", "More.")
    turns = f"User: 1+1?\nAssistant: {WORDS} 3.\nUser: Less.\nAssistant: 1.\nUser: More.\nAssistant:"
    assert framed(asked.messages) == PREAMBLE + turns
    assert question_of(framed(asked.messages)) == framed(asked.messages)


def test_a_begun_answer_ends_the_text_and_a_system_message_is_a_line_before_it() -> None:
    messages = [Message("system", "Be brief."), Message("user", "1+1?"), Message("assistant", " It is")]
    assert framed(messages) == f"Be brief.\n{PREAMBLE}User: 1+1?\nAssistant: {WORDS} It is"


def test_a_dialogue_may_open_with_the_assistant() -> None:
    assert framed([Message("assistant", " Hi."), Message("user", "1+1?")]) == (
        f"{PREAMBLE}Assistant: Hi.\nUser: 1+1?\nAssistant: {WORDS}"
    )
