"""A file of responses: what is put is there for other processes, and what is no such file is named."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mtgrpo_env.agents.kept_file import KeptFile, key_of


def test_what_was_put_is_found_by_whoever_opens_the_file(tmp_path: Path) -> None:
    first = KeptFile(tmp_path / "below" / "kept.sqlite")
    first.put(key_of("a", 1), {"text": "1"})
    second = KeptFile(tmp_path / "below" / "kept.sqlite")
    assert second.get(key_of("a", 1)) == {"text": "1"}
    assert second.get(key_of("a", 2)) is None
    second.put(key_of("a", 1), [2])
    assert first.get(key_of("a", 1)) == [2]
    first.close()


def test_what_is_no_file_of_responses_is_refused_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("These are no replies at all, and no database either.")
    with pytest.raises(ValueError, match=r"expected .*text to be a file of replies, or not to be there: "):
        KeptFile(tmp_path / "text")
    assert (tmp_path / "text").read_text().startswith("These")


def test_where_no_file_can_be_written_that_is_said_and_nothing_is_made(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("")
    with pytest.raises(IsADirectoryError, match="expected a file, got the folder"):
        KeptFile(tmp_path)
    with pytest.raises(NotADirectoryError, match="expected a folder, got the file"):
        KeptFile(tmp_path / "text" / "below" / "kept.sqlite")
    assert [file.name for file in tmp_path.iterdir()] == ["text"]


def test_a_file_closes_once_no_thread_is_in_it_and_keeps_nothing_after(tmp_path: Path) -> None:
    file = KeptFile(tmp_path / "kept.sqlite")
    with ThreadPoolExecutor(8) as pool:
        kept = [pool.submit(file.put, key_of(i), "x" * 10_000) for i in range(200)]
        kept[20].result()
        file.close()
        refused = sum(isinstance(one.exception(), ValueError) for one in kept)
    again = KeptFile(tmp_path / "kept.sqlite")
    assert sum(again.get(key_of(i)) is not None for i in range(200)) == 200 - refused
    again.close()
