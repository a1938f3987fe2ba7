"""What one rank raises all ranks raise, and a folder that all write appears whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest
from thread_ranks import ThreadRanks, on_ranks, results_of

from mtgrpo_env.agents.ranks import OneRank, RankError, Ranks, agreement, shared_folder
from mtgrpo_env.manifest import verify
from mtgrpo_env.suite import TaskError


def test_every_rank_gets_every_value_in_the_order_of_the_ranks() -> None:
    assert results_of(3, lambda ranks: ranks.gather(10 * ranks.rank)) == [[0, 10, 20]] * 3
    assert OneRank().gather("x") == ["x"]


def failing_on(rank: int, error: Exception, ranks: Ranks) -> str:
    with agreement(ranks):
        if ranks.rank == rank:
            raise error
    return "went on"


@pytest.mark.parametrize("error", [TaskError("bad env"), FloatingPointError("nan"), OSError("disk full")])
def test_an_error_that_a_run_has_an_answer_to_is_raised_everywhere_as_what_it_is(error: Exception) -> None:
    outcomes = on_ranks(3, lambda ranks: failing_on(1, error, ranks))
    assert [type(outcome) for outcome in outcomes] == [type(error)] * 3
    assert outcomes[1] is error
    assert str(outcomes[0]) == str(outcomes[2]) == f"rank 1: {error}"


def test_another_error_names_the_rank_and_its_kind_on_the_others() -> None:
    outcomes = on_ranks(2, lambda ranks: failing_on(0, KeyError("lost"), ranks))
    assert isinstance(outcomes[0], KeyError)
    assert isinstance(outcomes[1], RankError)
    assert str(outcomes[1]) == "rank 0 failed: KeyError: 'lost'"


def test_without_an_error_everybody_goes_on() -> None:
    assert results_of(2, lambda ranks: failing_on(9, KeyError(), ranks)) == ["went on"] * 2


def write_all(folder: Path, ranks: Ranks, *, failing: int | None = None) -> None:
    with shared_folder(folder, ranks) as unfinished:
        assert not folder.exists()
        (unfinished / f"{ranks.rank}.txt").write_text("here")
        if ranks.rank == failing:
            raise OSError("disk full")


def test_a_shared_folder_holds_what_every_rank_wrote(tmp_path: Path) -> None:
    results_of(3, lambda ranks: write_all(tmp_path / "step", ranks))
    assert sorted(path.name for path in (tmp_path / "step").iterdir()) == ["0.txt", "1.txt", "2.txt", "manifest.json"]
    verify(tmp_path / "step")
    assert [path.name for path in tmp_path.iterdir()] == ["step"]


@pytest.mark.parametrize("failing", [0, 1])
def test_a_shared_folder_does_not_appear_if_one_rank_could_not_write(tmp_path: Path, failing: int) -> None:
    def work(ranks: ThreadRanks) -> None:
        write_all(tmp_path / "step", ranks, failing=failing)

    assert all(isinstance(outcome, OSError) for outcome in on_ranks(2, work))
    assert not list(tmp_path.iterdir())
