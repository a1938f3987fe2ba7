"""What playing a reward against its rows finds, of good rewards and of bad ones."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import own_rewards
import pytest

from mtgrpo_env.envs.named_scorers import named_scorer
from mtgrpo_env.envs.row import Row
from mtgrpo_env.envs.row_rewards import RowScorers
from mtgrpo_env.envs.rows import shared_problems
from mtgrpo_env.envs.rows_env import RowsEnv
from mtgrpo_env.experiments.row_checks import RowsCheck, checked_rows

CAPITALS = {"Italy": "Rome", "France": "Paris", "Spain": "Madrid", "Peru": "Lima"}
METALS = ("gold", "iron", "zinc", "lead")


def row_of(prompt: str, truth: Any, number: int, **columns: Any) -> Row:
    source, columns = f"rows.jsonl, row {number}", {"prompt": prompt, **columns}
    fields: dict[str, Any] = {"task": "mine", "level": None, "split": None, "prompt": prompt, "question": prompt}
    return Row(**fields, ground_truth=truth, index=number, source=source, columns=columns)


def cities() -> list[Row]:
    return [
        row_of(f"Which city is the capital of {country}?", {"target": city}, i, country=country)
        for i, (country, city) in enumerate(CAPITALS.items(), start=1)
    ]


def sums() -> list[Row]:
    pairs = ((30, 42), (1, 2), (500, 734), (6, 6))
    return [row_of(f"What is {a} + {b}?", f"{a} + {b} = {a + b}\n#### {a + b}", i) for i, (a, b) in enumerate(pairs)]


def choices() -> list[Row]:
    lines = "\n".join(f"{letter}. {metal}" for letter, metal in zip("ABCD", METALS, strict=True))
    return [
        row_of(f"Which metal is number {i}?\n{lines}", {"target": letter, "choices": list(METALS)}, i)
        for i, letter in enumerate("ABCD")
    ]


def played(reward: Any, rows: Sequence[Row], **options: Any) -> RowsCheck:
    return checked_rows(RowsEnv(named_scorer(reward, **options), rows))


@pytest.mark.parametrize(("reward", "rows"), [("number", sums), ("choice", choices), ("exact", cities)])
def test_a_built_in_reward_has_no_fault_and_takes_right_answers_in_any_dress(
    reward: str, rows: Callable[[], list[Row]]
) -> None:
    check = played(reward, rows())
    assert (check.reward, check.num_rows, check.unsolved, check.faults, check.notes) == (reward, 4, (), (), ())
    assert check.seconds > 0


def test_a_careful_reward_of_ones_own_has_no_fault_and_a_note_on_forms() -> None:
    check = played("own_rewards:city", cities())
    assert (check.unsolved, check.faults) == ((), ())
    (note,) = check.notes
    assert "does not score the right answer X as correct when it is written \\boxed{X}, " in note


def by_kind(check: RowsCheck) -> str:
    return "\n".join(check.faults)


def test_a_reward_that_looks_for_the_truth_anywhere_is_caught() -> None:
    found = by_kind(played(own_rewards.contains, [row_of("Rome or Oslo?", {"target": "Rome"}, 1), *cities()]))
    assert "contains scores the prompt repeated as correct: 'Rome or Oslo?'" in found
    for kind in ("the right answer between wrong ones", "the right answer in a list", "several boxed answers"):
        assert f" scores {kind} as correct: " in found
    options = by_kind(played(lambda completion, ground_truth: float(ground_truth["target"] in completion), choices()))
    assert "scores all options listed as correct: 'A. gold" in options


def test_a_reward_that_pays_any_number_is_caught() -> None:
    found = by_kind(played(own_rewards.any_number, sums()))
    assert "scores any other answer as correct: " in found
    assert "the verifier fails on the hostile response" in found
    assert "scores the prompt repeated as correct: 'What is 30 + 42?'" in found


def test_a_reward_that_pays_the_form_alone_is_caught() -> None:
    assert "scores any other answer as correct" in by_kind(
        played(lambda completion: float("\\boxed{" in completion), cities())
    )
    assert "scores an empty response as correct: ''" in by_kind(played(lambda completion: 1.0, cities()))


def test_a_reward_that_raises_or_hangs_is_caught() -> None:
    def raises(completion: str, ground_truth: Any) -> float:
        return float(completion.encode() == ground_truth["target"].encode())

    check = played(raises, cities())
    assert "the verifier raises on the hostile response 'lone surrogates'" in by_kind(check)
    assert "UnicodeEncodeError" in by_kind(check)

    def divides(completion: str, ground_truth: Any) -> float:
        return float(completion == ground_truth["target"]) / (1 - ("xyzzy" in completion))

    found = by_kind(played(divides, [row_of("?", {"target": "Rome"}, 1)]))
    assert "divides fails (ZeroDivisionError: float division by zero) on " in found


def test_rows_without_a_right_answer_are_named_and_a_shaped_reward_is_noted() -> None:
    check = played(lambda completion, country: -1.0 if country == "Peru" else 2.0 * (completion == "x"), cities())
    assert [row.source for row in check.unsolved] == [f"rows.jsonl, row {number}" for number in (1, 2, 3, 4)]
    shaped = played(lambda completion, ground_truth: 3.0 * (completion == ground_truth["target"]) - 1, cities())
    assert any(" reach from -1 to 2, outside of 0 to 1" in note for note in shaped.notes)
    assert shaped.faults == ()


def test_a_reward_that_depends_on_the_call_is_noted() -> None:
    seen: list[str] = []

    def forgetful(completion: str, ground_truth: Any) -> float:
        seen.append(completion)
        return float(completion == ground_truth["target"]) + seen.count(completion) / 1000

    notes = played(forgetful, cities()).notes
    assert any(re.search(r"forgetful gives 1\.00\d and then 1\.00\d for 'Rome'", note) for note in notes)


def test_an_example_in_the_prompt_is_no_fault_unless_it_is_the_answer_of_most_rows() -> None:
    def asked(example: Callable[[int], int]) -> list[Row]:
        return [row_of(f"Name {i}, like\n\\boxed{{{example(i)}}}", str(i), i) for i in range(1, 5)]

    assert played("number", asked(lambda _: 3)).faults == ()
    assert "scores the prompt repeated as correct" in by_kind(played("number", asked(lambda i: i)))


def test_rows_of_two_files_with_one_prompt_are_shared() -> None:
    exact, number = RowScorers("exact"), RowScorers("number")
    assert [(a.source, b.source) for a, b in shared_problems(cities(), cities()[1:2], scorers=exact)] == [
        ("rows.jsonl, row 2",) * 2
    ]
    assert shared_problems(sums(), sums()[:0], scorers=number) == []


def test_rows_without_an_answer_meet_what_needs_none() -> None:
    rows = [row_of(f"Name {i}?", "", i) for i in range(3)]
    check = played(lambda completion: float(bool(completion)), rows)
    assert check.unanswered == tuple(rows)
    assert check.unsolved == ()
    assert "the prompt repeated" in by_kind(check)


def test_an_answer_that_a_hostile_response_happens_to_give_is_no_fault() -> None:
    check = played("number", [row_of("What is 0 + 0?", "0", 1), *sums()])
    assert check.faults == ()
    assert played("exact", [row_of("What does it return?", "None", 1), *cities()]).faults == ()


def test_prompts_that_do_not_ask_for_the_box_that_mathematics_needs_are_noted() -> None:
    (note,) = played("math", sums()).notes
    assert note == r"rows.jsonl, row 0: math scores only what stands in \boxed{}, and no prompt asks for it"
    assert played("math", [row_of(r"What is 1 + 1? Put it into \boxed{}.", "2", 1)]).notes == ()


def test_a_truth_in_mathematics_is_proven_by_another_spelling(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own text is right even where it is misread."""
    rows = [row_of(r"What is it? Put it into \boxed{}.", truth, i) for i, truth in enumerate(["2e-05", r"\sqrt2, x"])]
    rows += [row_of(r"What is it? Put it into \boxed{}.", {"target": 2e-05}, 2)]
    assert played("math", rows[1:]).unsolved == ()
    monkeypatch.setattr("mtgrpo_env.experiments.row_checks.respelled", lambda truth: "3")
    assert list(played("math", rows).unsolved) == rows


def test_truths_that_are_no_mathematics_are_named() -> None:
    asked = r"What is it? Put it into \boxed{}."
    check = played("math", [row_of(asked, r"\int x", 1), row_of("How many?", "7", 2), row_of("And then?", "1+", 3)])
    (note,) = check.notes
    assert note.startswith("no mathematics that can be read")
    assert note.endswith(r": rows.jsonl, row 1 '\\int x', rows.jsonl, row 3 '1+'")
    assert check.unsolved == ()


def test_a_reward_that_reads_no_fractions_is_noted() -> None:
    rows = [row_of(f"What is {n} / 4?", str(n / 4), n) for n in (1, 3, 5, 7)]
    assert played("number", rows).notes == ()
    (note,) = played("exact", rows).notes
    assert "written as a fraction" in note
