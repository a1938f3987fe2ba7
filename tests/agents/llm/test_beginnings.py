"""Clusters of prompts compute the fewest tokens that runs of neighbours allow, and never more than whole prompts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtgrpo_env.agents.llm.beginnings import SplitPrompts, Tokens, common_beginnings, split_prompts

PROMPTS = st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=6).map(tuple), min_size=1, max_size=7, unique=True)


def num_computed(clusters: Sequence[tuple[Sequence[int], int]], prompts: Sequence[Tokens]) -> int:
    return sum(length + sum(len(prompts[row]) - length for row in members) for members, length in clusters)


def area(split: SplitPrompts) -> int:
    """Tokens that two passes compute, padding included."""
    return sum(len(rows) * max(map(len, rows)) for rows in (split.beginnings, split.rests))


def num_common(prompts: Sequence[Tokens]) -> int:
    same = [len(set(column)) == 1 for column in zip(*prompts, strict=False)]
    return [*same, False].index(False)


def all_clusterings(prompts: Sequence[Tokens]) -> Iterator[list[tuple[Sequence[int], int]]]:
    """Every way to cut the sorted prompts into runs, each with all that it may have in common."""
    order = sorted(range(len(prompts)), key=prompts.__getitem__)
    for size in range(len(order)):
        for cuts in combinations(range(1, len(order)), size):
            runs = [order[start:end] for start, end in pairwise([0, *cuts, len(order)])]
            shortest = [min(len(prompts[row]) for row in run) - 1 for run in runs]
            common = [num_common([prompts[row] for row in run]) for run in runs]
            yield [(run, min(pair)) for run, *pair in zip(runs, shortest, common, strict=True)]


@given(PROMPTS)
@settings(derandomize=True, deadline=None)
def test_no_other_runs_compute_fewer_tokens(prompts: list[Tokens]) -> None:
    clusters = common_beginnings(prompts)
    best = min(num_computed(clustering, prompts) for clustering in all_clusterings(prompts))
    assert num_computed(clusters, prompts) == best <= sum(map(len, prompts))


@given(PROMPTS)
@settings(derandomize=True, deadline=None)
def test_every_prompt_is_in_one_cluster_and_keeps_a_token_of_its_own(prompts: list[Tokens]) -> None:
    clusters = common_beginnings(prompts)
    assert sorted(row for members, _ in clusters for row in members) == list(range(len(prompts)))
    for members, length in clusters:
        assert len({prompts[row][:length] for row in members}) == 1
        assert all(length < len(prompts[row]) for row in members)


@given(PROMPTS)
@settings(derandomize=True, deadline=None)
def test_split_prompts_are_the_prompts_and_take_less_room_than_them(prompts: list[Tokens]) -> None:
    split = split_prompts(prompts)
    if split is not None:
        whole = [split.beginnings[which] + rest for which, rest in zip(split.which, split.rests, strict=True)]
        assert whole == prompts
        assert all(split.rests)
        widest, longest = max(map(len, split.beginnings)), max(map(len, prompts))
        assert area(split) < len(prompts) * longest
        assert widest + max(map(len, split.rests)) <= 1.25 * longest


def test_tasks_with_worked_examples_are_computed_once_each() -> None:
    """32 prompts of 119 tokens in 4 tasks, whose first 90 tokens are a system prompt and worked examples."""
    system = tuple(range(20))
    prompts = [
        (*system, *[100 + task] * 70, *range(1000 * row, 1000 * row + 29)) for task in range(4) for row in range(8)
    ]
    split = split_prompts(prompts)
    assert split is not None
    assert [len(beginning) for beginning in split.beginnings] == [90] * 4
    assert area(split) == 4 * 90 + 32 * 29


def test_a_prompt_alone_is_cut_where_it_widens_neither_pass() -> None:
    many = [(*range(90), 1000 + row) for row in range(20)]
    split = split_prompts([*many, tuple(range(500, 600))])
    assert split is not None
    assert max(map(len, split.beginnings)) == 90
    assert max(map(len, split.rests)) == 10


def test_tasks_of_unequal_beginnings_do_not_make_the_cache_much_wider() -> None:
    """One task shares 100 of 102 tokens, the other 40 of 100: cut at 100, prompts would be 160 wide."""
    first = [(*range(100), row, row) for row in range(1000, 1020)]
    second = [(*range(200, 240), *range(1000 * row, 1000 * row + 60)) for row in range(2, 10)]
    split = split_prompts([*first, *second])
    assert split is not None
    assert [len(beginning) for beginning in split.beginnings] == [40, 40]


@pytest.mark.parametrize("prompts", [[(1,)], [(1,), (2,)], [(1, 2, 3), (1, 5, 6)], [(1, 2), (1, 2, 3)]])
def test_small_savings_are_not_worth_a_second_pass(prompts: list[Tokens]) -> None:
    assert split_prompts(prompts) is None
