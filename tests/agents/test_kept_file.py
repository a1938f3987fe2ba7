"""A file of responses: what is put is there for other processes, and what is no such file is named."""

from __future__ import annotations

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


@pytest.mark.parametrize("name", ["text", "folder"])
def test_what_is_no_file_of_responses_is_refused_by_its_name(name: str, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("These are no replies at all, and no database either.")
    (tmp_path / "folder").mkdir()
    with pytest.raises(ValueError, match=f"expected .*{name} to be a file of replies, or not to be there: "):
        KeptFile(tmp_path / name)
    assert (tmp_path / "text").read_text().startswith("These")
