"""Rows as people have them: each line of the table of docs/rows.md, each source, and what cannot be read."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mtgrpo_env.envs.row_rewards import MissingReward
from mtgrpo_env.envs.row_table import marked_split
from mtgrpo_env.envs.rows import read_rows, rows_suite
from mtgrpo_env.named_tasks import read_tasks
from mtgrpo_env.row_options import RowOptions

PAGE = Path(__file__).parents[2] / "docs" / "rows.md"
SUMS = [{"question": f"{n} + 1?", "answer": str(n + 1)} for n in range(6)]


def documented_forms() -> list[tuple[str, Any, str, Any]]:
    """(form, row, prompt, ground truth) of every line of the table."""
    table = PAGE.read_text(encoding="utf-8").split("<!-- forms")[1].split("<!-- end of forms")[0]
    lines = [line for line in table.splitlines() if line.startswith("| ")][1:]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    return [(name, *(json.loads(cell.strip("` ")) for cell in rest)) for name, *rest in cells]


def write_lines(file: Path, rows: list[Any]) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return file


@pytest.mark.parametrize(("form", "row", "prompt", "ground_truth"), documented_forms())
def test_a_row_of_each_documented_form_is_read_and_scored(
    form: str, row: Any, prompt: str, ground_truth: Any, tmp_path: Path
) -> None:
    rows = read_rows(write_lines(tmp_path / "mine.jsonl", [row]))
    assert (rows[0].prompt, rows[0].ground_truth) == (prompt, ground_truth)
    assert rows[0].columns == row
    suite = rows_suite(rows, reward=lambda completion, ground_truth: 1.0)
    assert suite.envs(0, 1)[0].reset(options={"index": 0})[0] == prompt


def test_the_table_of_forms_is_as_long_as_it_was() -> None:
    assert len(documented_forms()) == 19


def as_jsonl(folder: Path, rows: list[Any]) -> Path:
    return write_lines(folder / "sums.jsonl", rows)


def as_json(folder: Path, rows: list[Any]) -> Path:
    (folder / "sums.json").write_text(json.dumps(rows))
    return folder / "sums.json"


def as_csv(folder: Path, rows: list[Any]) -> Path:
    with (folder / "sums.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return folder / "sums.csv"


def as_parquet(folder: Path, rows: list[Any]) -> Path:
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pyarrow.Table.from_pylist(rows), folder / "sums.parquet")
    return folder / "sums.parquet"


def as_folder(folder: Path, rows: list[Any]) -> Path:
    write_lines(folder / "sums" / "part-1.jsonl", rows[:4])
    as_json(folder, rows[4:]).rename(folder / "sums" / "part-2.json")
    (folder / "sums" / "README.md").write_text("about the data")
    return folder / "sums"


def as_saved_by_datasets(folder: Path, rows: list[Any]) -> Path:
    datasets = pytest.importorskip("datasets")
    datasets.Dataset.from_list(rows).save_to_disk(folder / "sums")
    return folder / "sums"


@pytest.mark.parametrize("write", [as_jsonl, as_json, as_csv, as_parquet, as_folder, as_saved_by_datasets])
def test_every_source_gives_the_same_rows(write: Callable[[Path, list[Any]], Path], tmp_path: Path) -> None:
    rows = read_rows(write(tmp_path, SUMS))
    assert [(row.prompt, row.ground_truth) for row in rows] == [(row["question"], row["answer"]) for row in SUMS]
    assert {(row.task, row.level, row.split) for row in rows} == {("sums", None, None)}
    assert len({row.source for row in rows}) == len(SUMS)


def test_a_data_set_of_the_hub_is_read_with_its_splits(tmp_path: Path) -> None:
    """The hub's own loader, on a folder in the place of an id: it is the same call."""
    pytest.importorskip("datasets")
    for split, rows in (("train", SUMS[:4]), ("test", SUMS[4:])):
        write_lines(tmp_path / "sums" / f"{split}.jsonl", rows)
    rows = read_rows(f"hf:{tmp_path / 'sums'}")
    assert [row.split for row in rows] == ["train"] * 4 + ["test"] * 2
    assert rows[0].source.endswith("sums, train, row 1")


def test_a_data_set_that_is_not_there_is_named(tmp_path: Path) -> None:
    pytest.importorskip("datasets")
    with pytest.raises(ValueError, match=f"hf:{tmp_path}/none: expected a data set on the hub, got an error"):
        read_rows(f"hf:{tmp_path}/none")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sums.jsonl", ("sums", None)),
        ("sums_train.jsonl", ("sums", "train")),
        ("sums-test-00000-of-00001.jsonl", ("sums", "test")),
        ("sums/train.jsonl", ("sums", "train")),
        ("sums/validation.jsonl", ("sums", "validation")),
        ("latest.jsonl", ("latest", None)),
        ("training_sums.jsonl", ("training_sums", None)),
    ],
)
def test_the_name_of_a_file_gives_task_and_split_to_rows_that_have_none(
    name: str, expected: tuple[str, str | None], tmp_path: Path
) -> None:
    (row,) = read_rows(write_lines(tmp_path / name, SUMS[:1]))
    assert (row.task, row.split) == expected


def test_the_files_of_a_folder_are_tasks_if_their_names_differ_in_more_than_splits_and_numbers(tmp_path: Path) -> None:
    for name in ("sums_train.jsonl", "sums_test.jsonl", "words-00001.jsonl", "words-00002.jsonl", "more/data.jsonl"):
        write_lines(tmp_path / "mine" / name, SUMS[:1])
    found = {(row.task, row.split) for row in read_rows(tmp_path / "mine")}
    assert found == {("sums", "train"), ("sums", "test"), ("words", None), ("more", None)}


def test_the_folders_of_a_folder_are_splits_if_they_are_called_so(tmp_path: Path) -> None:
    for split in ("train", "test"):
        write_lines(tmp_path / "sums" / split / "data.jsonl", SUMS[:1])
    assert {(row.task, row.split) for row in read_rows(tmp_path / "sums")} == {("sums", "train"), ("sums", "test")}


@pytest.mark.parametrize(
    ("data_source", "expected"),
    [
        ("openai/gsm8k", ("openai/gsm8k", None, None)),
        ("my-data-set", ("my-data-set", None, None)),
        ("countdown-very_hard-test", ("countdown", "very_hard", "test")),
        ("my-own-easy-train", ("my-own", "easy", "train")),
    ],
)
def test_a_data_source_is_the_tasks_name_unless_it_has_three_parts(
    data_source: str, expected: tuple[str, str | None, str | None], tmp_path: Path
) -> None:
    (row,) = read_rows(write_lines(tmp_path / "mine.jsonl", [{**SUMS[0], "data_source": data_source}]))
    assert (row.task, row.level, row.split) == expected


def test_columns_of_other_names_are_named(tmp_path: Path) -> None:
    raw = {"q": "1 + 1?", "a": "2", "subject": "sums", "difficulty": 3, "part": "dev", "answer": "no"}
    file = write_lines(tmp_path / "mine.jsonl", [raw])
    names = ("prompt=q", "answer=a", "task=subject", "level=difficulty", "split=part")
    (row,) = read_rows(file, columns=RowOptions(columns=names).column_names)
    assert (row.prompt, row.ground_truth, row.name, row.split) == ("1 + 1?", "2", "sums-3", "dev")


def test_options_of_rows_are_given_as_a_list_a_mapping_or_with_commas() -> None:
    expected = {"sums": "number", "words": "exact"}
    for given in (["sums=number", "words=exact"], "sums=number, words=exact", expected):
        assert RowOptions(reward=given).rewards == expected  # pyright: ignore[reportArgumentType]
    assert RowOptions(columns="prompt=q,answer=a").column_names == {"prompt": "q", "answer": "a"}


def test_a_column_that_is_not_to_be_read_is_left_out(tmp_path: Path) -> None:
    raw = {**SUMS[0], "level": "Level 5", "task": "words", "split": "train"}
    file = write_lines(tmp_path / "mine.jsonl", [raw])
    (row,) = read_rows(file, columns={"level": "", "task": "", "split": ""})
    assert (row.name, row.split) == ("mine", None)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (
            {"q": "1 + 1?", "a": "2"},
            "expected the prompt in a column prompt or .* got the columns q, a: .*--columns prompt=q",
        ),
        ({"question": "?", "answer": ""}, "column answer: expected a text, a number or an object"),
        (
            {"question": "?", "answer": "C", "choices": ["a", "b"]},
            "column answer: expected the label or the text of one",
        ),
        (
            {"question": "?", "answer": 2, "choices": ["a", "b"]},
            "column answer: expected a place from 0 to 1, got int 2",
        ),
        ({"question": "?", "answer": 0, "choices": ["a"]}, "column choices or options: expected 2 to 10 texts"),
        ({"question": "?", "answer": "a", "choices": "ab"}, "column choices or options: expected 2 to 10 texts"),
        (
            {"prompt": [{"role": "user", "content": [{"type": "image", "url": "x"}]}], "answer": "a"},
            r"column prompt\[0\]: expected a chat message with a str 'content', or parts that are texts",
        ),
    ],
)
def test_a_row_that_cannot_be_read_says_what_is_missing(raw: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"^mine.jsonl, row 1(: |, ){message}"):
        read_rows(write_lines(tmp_path / "mine.jsonl", [raw]))


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda folder: folder, "expected a folder with files that end in .*, found none"),
        (lambda folder: as_json(folder, {"a": 1}), r"sums.json: expected a JSON list of objects, got dict"),  # pyright: ignore[reportArgumentType]
        (lambda folder: write_lines(folder / "sums.jsonl", []).rename(folder / "sums.json"), "got a broken file"),
    ],
)
def test_a_source_without_rows_is_refused(write: Callable[[Path], Path], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        read_rows(write(tmp_path))


def test_a_csv_row_with_too_many_values_is_refused_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "sums.csv").write_text("question,answer\n1 + 1?,2\n2 + 2?,4,5\n")
    with pytest.raises(ValueError, match=r"sums.csv, row 2: expected as many values .* got \['5'\] more"):
        read_rows(tmp_path / "sums.csv")


@pytest.mark.parametrize(
    ("rows", "option"),
    [
        ([{"question": "?", "answer": "72"}], "--reward number"),
        ([{"question": "?", "answer": "so\n#### 1,072"}], "--reward number"),
        ([{"question": "?", "answer": "\\frac{1}{2}"}], "--reward math"),
        ([{"question": "?", "answer": "Rome"}], "--reward exact"),
        ([{"question": "?", "answer": "B", "choices": ["x", "y"]}], "--reward choice"),
        ([{"question": "?", "answer": {"a": 1}}], "--reward my_rewards:reward"),
        (
            [{"task": "add", "question": "?", "answer": "72"}, {"task": "city", "question": "?", "answer": "Rome"}],
            "--reward add=number city=exact",
        ),
    ],
)
def test_rows_that_nothing_scores_are_refused_with_options_that_would_do(
    rows: list[Any], option: str, tmp_path: Path
) -> None:
    file = write_lines(tmp_path / "mine.jsonl", rows)
    with pytest.raises(MissingReward, match=f"nothing scores the .* such as {option}: ") as refusal:
        read_tasks(str(file))
    assert refusal.value.options == tuple(option.split())


def test_a_row_without_an_answer_is_for_rewards_that_need_none(tmp_path: Path) -> None:
    file = str(write_lines(tmp_path / "mine.jsonl", [{"question": "1 + 1?", "word": "a"}]))
    suite = rows_suite(read_rows(file), reward=lambda completion, word: float(completion == word))
    env = suite.envs(0, 1)[0]
    env.reset(options={"index": 0})
    assert env.step("a")[1] == 1.0
    with pytest.raises(
        ValueError, match=r"mine.jsonl, row 1: expected the answer in a column .* columns question, word"
    ):
        read_tasks(file, row_options=RowOptions(reward="number")).envs(0, 1)
    with pytest.raises(
        ValueError, match=r"(?s)no answer in their columns question, word, .*--columns answer=word .*--reward exact"
    ):
        read_tasks(file)


def test_only_the_tasks_that_lack_a_reward_are_named(tmp_path: Path) -> None:
    zebra = {"task": "zebra", "question": "Who?", "answer": "alice"}
    file = write_lines(tmp_path / "mine.jsonl", [zebra, *SUMS])
    with pytest.raises(ValueError, match=r"nothing scores the 6 rows of 'mine', .*--reward mine=number") as refusal:
        read_tasks(str(file))
    assert "zebra" not in re.sub(r"verifier of a task.*", "", str(refusal.value))


def test_a_reward_for_a_task_that_is_not_there_is_refused(tmp_path: Path) -> None:
    file = str(as_jsonl(tmp_path, SUMS))
    message = r"reward is given for the tasks \['add'\], but the tasks are \['sums'\]"
    with pytest.raises(ValueError, match=message):
        RowOptions(reward=("number", "add=exact")).check_used(["sums"])
    with pytest.raises(ValueError, match=message):
        rows_suite(read_rows(file), reward={"": "number", "add": "exact"})
    RowOptions(reward="sums=number,countdown=exact").check_used(["sums", "countdown-hard"])


def test_rows_mix_with_tasks_by_other_names_and_files_are_pooled(tmp_path: Path) -> None:
    one, other = as_jsonl(tmp_path, SUMS), write_lines(tmp_path / "more" / "sums.jsonl", SUMS[:2])
    options = RowOptions(reward="number")
    suite = read_tasks(["zebra-mini", f"{one},{other}", "gym:CartPole-v1"], row_options=options)
    assert suite.names == ("zebra-mini", "sums", "CartPole-v1")
    assert len(suite.envs(1, 1)[0].unwrapped.puzzles) == 8  # pyright: ignore[reportAttributeAccessIssue]


def test_a_reward_that_data_name_is_one_that_is_built_in_or_it_is_none(tmp_path: Path) -> None:
    own, foreign = (
        {"prompt": "?", "ground_truth": {"target": "2", "reward": name}} for name in ("number", "os:system")
    )
    assert read_tasks(str(write_lines(tmp_path / "a.jsonl", [own]))).names == ("a",)
    with pytest.raises(ValueError, match="nothing scores"):
        read_tasks(str(write_lines(tmp_path / "b.jsonl", [foreign])))


def test_a_split_is_read_in_any_letters(tmp_path: Path) -> None:
    marks = ["Train", " train", "TRAINING", "Test", "validation"]
    rows = read_rows(write_lines(tmp_path / "a.jsonl", [{**SUMS[i], "split": mark} for i, mark in enumerate(marks)]))
    assert [marked_split(row) for row in rows] == ["train"] * 3 + ["test"] * 2


def test_folders_of_splits_may_hold_folders_of_tasks(tmp_path: Path) -> None:
    for split in ("train", "test"):
        for task in ("math", "law"):
            write_lines(tmp_path / "mine" / split / task / "a.jsonl", SUMS[:1])
    found = {(row.task, row.split) for row in read_rows(tmp_path / "mine")}
    assert {split for _, split in found} == {"train", "test"}


def test_options_are_shown_unless_each_stands_in_the_question_behind_its_letter(tmp_path: Path) -> None:
    hidden = {"question": "How many of the 1234 digits are even?", "choices": ["1", "2", "3"], "answer": "(b)"}
    shown = {"question": "Iron?\n(A) Au\n(B) Fe", "choices": ["Au", "Fe"], "answer": "Fe"}
    first, second = read_rows(write_lines(tmp_path / "a.jsonl", [hidden, shown]))
    assert first.prompt.endswith("\nA. 1\nB. 2\nC. 3")
    assert first.ground_truth == {"target": "B", "choices": ["1", "2", "3"]}
    assert second.prompt == shown["question"]


def test_a_row_with_an_answer_key_keeps_its_task_prompt_and_split(tmp_path: Path) -> None:
    row = {"question": "Iron?", "choices": {"text": ["Au", "Fe"], "label": ["A", "B"]}, "answerKey": "B"}
    (read,) = read_rows(write_lines(tmp_path / "arc_train.jsonl", [{**row, "domain": "physics"}]))
    assert (read.task, read.split, read.prompt) == ("arc", "train", "Iron?\nA. Au\nB. Fe")


@pytest.mark.parametrize(
    "raw",
    [
        {"question": "1+2 \ud83d", "answer": "3"},
        {**SUMS[0], "data_source": "a-\x1b[31mred-train"},
        {**SUMS[0], "level": "x" * 101},
    ],
)
def test_a_row_whose_text_cannot_be_shown_or_sent_is_refused_with_its_place(raw: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^a.jsonl, row 1, column "):
        read_rows(write_lines(tmp_path / "a.jsonl", [raw]))


def test_a_column_may_have_a_dot_in_its_name_and_an_index_of_another_kind(tmp_path: Path) -> None:
    file = write_lines(tmp_path / "a.jsonl", [{"q.text": "1 + 1?", "answer": 2, "index": "id-1"}])
    (row,) = read_rows(file, columns={"prompt": "q.text"})
    assert (row.prompt, row.index) == ("1 + 1?", 0)


def test_a_run_does_not_resume_on_rows_that_were_edited(tmp_path: Path) -> None:
    before, after = (
        as_jsonl(tmp_path, SUMS),
        write_lines(tmp_path / "b" / "sums.jsonl", [{**SUMS[0], "answer": "7"}, *SUMS[1:]]),
    )
    suite, edited = (read_tasks(str(file), row_options=RowOptions(reward="number")) for file in (before, after))
    suite.next_problem(0)
    with pytest.raises(ValueError, match="continue with the problems of then"):
        edited.load_state_dict(suite.state_dict())


@pytest.mark.parametrize("answer", ["\x0crac{1}{2}", "\x08eta", {"target": ["1", "\x00"]}])
def test_a_truth_whose_backslash_json_has_eaten_is_refused(answer: Any, tmp_path: Path) -> None:
    write_lines(tmp_path / "rows.jsonl", [{"question": "?", "answer": answer}])
    with pytest.raises(ValueError, match=r"rows\.jsonl, row 1, column answer: expected a text without '.*'; JSON"):
        read_rows(tmp_path / "rows.jsonl")
