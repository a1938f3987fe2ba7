"""Numbers in data files stay those numbers, whatever type they come in and however large or small they are."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtgrpo_env.envs.answers import boxed
from mtgrpo_env.envs.countdown import Countdown, CountdownPuzzle
from mtgrpo_env.envs.export import content_hash, export_rows, fresh_problems, write_rows
from mtgrpo_env.envs.fields import plain, value_field, whole, written
from mtgrpo_env.envs.mathematics import Mathematics
from mtgrpo_env.envs.reward import compute_score, reward, verdict
from mtgrpo_env.envs.rows import read_rows, rows_suite

SPELLED = [
    (0.00002, "0.00002"),
    (4.5e-7, "0.00000045"),
    (7e18, "7000000000000000000"),
    (1e17, "100000000000000000"),
    (0.1, "0.1"),
    (-0.0, "0"),
    (-1e-5, "-0.00001"),
    (8.0, "8"),
    (2.50, "2.5"),
    (10**40, "1" + "0" * 40),
    (-7, "-7"),
    (np.float32(0.1), "0.1"),
    (np.float64(2e-5), "0.00002"),
    (np.float16(0.5), "0.5"),
    (np.int64(-3), "-3"),
    (np.uint8(200), "200"),
    (Decimal("1E+3"), "1000"),
    (Decimal("0.10"), "0.10"),
    (Fraction(1, 3), "1/3"),
    (Fraction(4, 2), "2"),
]


@pytest.mark.parametrize(("number", "digits"), SPELLED)
def test_a_number_is_spelled_in_plain_digits(number: Any, digits: str) -> None:
    assert written(number) == digits
    assert value_field({"target": number}, "target") == digits
    assert Fraction(digits) == Fraction(str(number))


@settings(max_examples=300, derandomize=True, deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers())
def test_a_number_of_a_json_file_keeps_its_value(number: float) -> None:
    again = json.loads(json.dumps(number))
    assert Fraction(written(again) or "") == Fraction(repr(number))
    assert whole(again) == (int(Fraction(repr(number))) if Fraction(repr(number)).denominator == 1 else None)


@pytest.mark.parametrize("value", [True, None, "7", [7], {}, b"7", np.bool_(True), 1j])
def test_what_is_no_number_is_none(value: Any) -> None:
    assert written(value) is None
    assert whole(value) is None


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, Decimal("NaN"), np.float32("inf")])
def test_numbers_that_are_not_finite_are_refused_by_name(number: Any) -> None:
    for task in ("math", "number"):
        fields = {"reward" if task == "number" else "task": task, "target": number}
        with pytest.raises(ValueError, match="needs a text or a number as 'target': expected a finite number, got"):
            verdict("?", r"\boxed{n^2 a}", fields)


@pytest.mark.parametrize("number", [Decimal("1E+1000000"), Decimal("1E-1000000"), 10**600])
def test_numbers_with_too_many_digits_are_refused(number: Any) -> None:
    with pytest.raises(ValueError, match="expected a number of at most 500 digits"):
        value_field({"target": number}, "target")


@pytest.mark.parametrize("bare", [True, False])
def test_a_row_with_nan_is_refused_with_file_and_row(bare: bool, tmp_path: Path) -> None:
    rows = [{"question": "1?", "answer": 1.0}, {"question": "2?", "answer": math.nan if bare else {"target": math.nan}}]
    (tmp_path / "sums.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    with pytest.raises(ValueError, match=r"^sums.jsonl, row 2, column .*: .*a finite number.*nan"):
        rows_suite(read_rows(tmp_path / "sums.jsonl"), reward="math")


@pytest.mark.parametrize(
    ("number", "right", "wrong"),
    [
        (0.00002, ["0.00002", r"2\times10^{-5}", "1/50000", r"\frac{2}{100000}"], ["0.0002", "e-5", "2e", "0"]),
        (4.5e-7, [r"4.5 \cdot 10^{-7}", "0.00000045"], ["4.5", "-7"]),
        (7e18, ["7000000000000000000", r"7\times 10^{18}"], ["e+18", "7", "7e+18x"]),
        (1e17, ["100000000000000000"], ["e+17", "17"]),
        (0.1, ["1/10", "0.10"], ["0.1000000000000000055511151231257827"]),
        (np.float32(0.1), ["1/10"], ["0.100000001490116"]),
        (10**30, ["1" + "0" * 30, r"1\times10^{30}"], ["10^{29}"]),
        (5.0, ["5", "5.0"], ["5.01"]),
    ],
)
def test_a_number_is_the_truth(number: Any, right: list[str], wrong: list[str]) -> None:
    for truth in (number, {"target": number}):
        for task in ("math", "number"):
            for answer in right if task == "math" else right[:1]:
                assert verdict("?", boxed(answer), truth, task=task, reward=task).is_success, (task, answer)
            for answer in wrong:
                assert not verdict("?", boxed(answer), truth, task=task, reward=task).is_success, (task, answer)


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_exported_numbers_are_read_again_as_they_were(suffix: str, tmp_path: Path) -> None:
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    rows = [
        {"task": "math", "prompt": f"What is number {i}?", "ground_truth": {"target": number, "digits": 3}}
        for i, number in enumerate([0.00002, 7e18, 12, 0.1])
    ]
    (tmp_path / "mine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    first = read_rows(tmp_path / "mine.jsonl")
    suite = rows_suite(first)
    problems = fresh_problems(suite, suite.num_problems(0) or 0)
    written_again = write_rows(export_rows(suite, problems), tmp_path / f"again{suffix}")
    again = read_rows(tmp_path / f"again{suffix}")
    assert content_hash(again) == written_again.content_hash
    targets = {row.prompt: row.ground_truth["target"] for row in first if not isinstance(row.ground_truth, str)}
    for row in again:
        assert not isinstance(row.ground_truth, str)
        assert row.ground_truth["target"] == targets[row.prompt]
        puzzle = Mathematics.from_ground_truth(row.ground_truth, row.prompt)
        assert (puzzle.answer, puzzle.digits) == (written(targets[row.prompt]), 3)


def test_numbers_of_data_frames_and_of_decimal_columns_become_json() -> None:
    given = {"target": np.float32(0.1), "numbers": (Decimal("8"), np.int64(3)), "deep": {"is": np.bool_(True)}}
    assert json.loads(json.dumps(plain(given))) == {"target": "0.1", "numbers": [8, 3], "deep": {"is": True}}


def test_whole_numbers_may_be_written_with_a_decimal_point() -> None:
    truth = {"numbers": [3.0, 5.0, np.float64(7)], "target": 22.0}
    assert Countdown.from_ground_truth(truth, "") == CountdownPuzzle((3, 5, 7), 22)
    assert reward("C3,5,7=22:", r"\boxed{3*5+7}", {"task": "countdown-mini", **truth}) == 1.0


def test_verl_may_pass_a_bare_number() -> None:
    assert compute_score("math-easy-train", r"\boxed{72}", 72)["score"] == 1.0
    assert compute_score("openai/gsm8k", "#### 72", 72.0, reward="number")["score"] == 1.0


@pytest.mark.parametrize(
    "literal", ["9007199254740993.0", "3.14159265358979323846", "1e-400", "123456789.123456789123"]
)
@pytest.mark.parametrize("as_text", [False, True])
def test_a_number_that_no_float_holds_keeps_its_digits(literal: str, as_text: bool, tmp_path: Path) -> None:
    truth = f'{{"target": {literal}}}'
    file = tmp_path / "sums.jsonl"
    file.write_text(
        f'{{"prompt": "?", "data_source": "math", "ground_truth": {json.dumps(truth) if as_text else truth}}}\n'
    )
    (row,) = read_rows(file)
    answer = boxed(f"{Decimal(literal):f}")
    for known in (row.ground_truth, truth):
        assert verdict("?", answer, known, task="math").is_success
        assert not verdict("?", boxed(repr(float(literal))), known, task="math").is_success


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_a_column_of_less_precision_has_its_own_digits(precision: str, tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    kind = getattr(pyarrow, precision)()
    truths = pyarrow.array([{"target": np.dtype(precision).type(0.1)}], pyarrow.struct([("target", kind)]))
    columns = {"prompt": ["?"], "data_source": ["math"], "ground_truth": truths}
    parquet.write_table(pyarrow.table(columns), tmp_path / "sums.parquet")
    (row,) = read_rows(tmp_path / "sums.parquet")
    assert verdict("?", boxed("0.1"), row.ground_truth, task="math").is_success
