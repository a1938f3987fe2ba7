"""Codes that lie evenly: each completion is a fair draw, and those of a prompt are as different as they can be."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
import torch
from transformers import PreTrainedModel

from mtgrpo_env.agents.llm.data import Completion
from mtgrpo_env.agents.llm.draws import Chances, Draws
from mtgrpo_env.agents.llm.engines import Decoding
from mtgrpo_env.agents.llm.rollout_transformers import TransformersEngine, draw

PROMPT = (10, 20, 30)
CPU = torch.device("cpu")


def drawn(
    model: PreTrainedModel, num_prompts: int, count: int, length: int, *, rows_at_once: int = 4096
) -> list[Completion]:
    """`count` stratified completions for each of so many times the same prompt, each with a seed of its own."""
    engine = TransformersEngine(model, pad_id=0, end_ids=(), rows_at_once=rows_at_once)
    seeds = list(range(num_prompts))
    rows = engine.generate([PROMPT] * num_prompts, [count] * num_prompts, Decoding(length, stratified=True), seeds)
    return [completion for _, completion in rows]


def probabilities(model: PreTrainedModel, prefix: tuple[int, ...]) -> np.ndarray:
    with torch.no_grad():
        return torch.softmax(model(torch.tensor([prefix])).logits[0, -1].double(), dim=-1).numpy()


@pytest.mark.parametrize("rows_at_once", [7, 4096])
def test_the_completions_of_a_prompt_have_their_shares_to_within_one(model: PreTrainedModel, rows_at_once: int) -> None:
    """Of the first token, and of the first two together: both are intervals of the codes."""
    num = 400
    completions = drawn(model, 1, num, 2, rows_at_once=rows_at_once)
    first = probabilities(model, PROMPT)
    counts = np.bincount([c.tokens[0] for c in completions], minlength=len(first))
    assert (np.abs(counts - num * first) < 1 + 1e-3).all()
    pairs = Counter(c.tokens for c in completions)
    for token in counts.argsort()[-3:].tolist():
        second = probabilities(model, (*PROMPT, token))
        expected = num * first[token] * second
        found = np.array([pairs[token, other] for other in range(len(second))])
        assert (np.abs(found - expected) < 1 + 1e-3).all()


def test_each_place_in_a_group_is_a_fair_draw(model: PreTrainedModel) -> None:
    """1500 groups of four on fixed seeds; every frequency within 4.5 standard deviations, at each place."""
    num, size = 1500, 4
    completions = drawn(model, num, size, 2)
    first = probabilities(model, PROMPT)
    common = int(first.argmax())
    second = probabilities(model, (*PROMPT, common))
    for place in range(size):
        own = completions[place::size]
        counts = np.bincount([c.tokens[0] for c in own], minlength=len(first))
        assert (np.abs(counts - num * first) < 4.5 * np.sqrt(num * first * (1 - first)) + 1).all()
    following = [c.tokens[1] for c in completions if c.tokens[0] == common]
    counts, total = np.bincount(following, minlength=len(second)), len(following)
    assert (np.abs(counts - total * second) < 4.5 * np.sqrt(total * second * (1 - second)) + 1).all()


def test_groups_are_less_often_unanimous_than_independent_ones(model: PreTrainedModel) -> None:
    num, size = 400, 4
    stratified = drawn(model, num, size, 1)
    engine = TransformersEngine(model, pad_id=0, end_ids=())
    rows = engine.generate([PROMPT] * num, [size] * num, Decoding(1), list(range(num)))
    independent = [completion for _, completion in rows]
    distinct = [
        np.mean([len({c.tokens for c in group[i : i + size]}) for i in range(0, num * size, size)])
        for group in (stratified, independent)
    ]
    assert distinct[0] > distinct[1] + 0.1


def test_codes_are_used_up_and_replaced_by_fresh_numbers() -> None:
    draws = Draws(np.full((2, 100), 0.25), np.array([0.5, 0.5]))
    chances, rows = Chances(draws, CPU), torch.arange(2)
    rest = torch.tensor([0.75, 0.75], dtype=torch.float64)
    surprise = -torch.log(torch.tensor([2.0**20, 2.0]))  # 20 bits, and 1
    chances.use(rows, 0, rest, surprise)
    assert chances.of(rows, 1).tolist() == [0.75, 0.75]
    chances.use(rows, 1, rest, surprise)
    assert chances.of(rows, 2).tolist() == [0.25, 0.75]


def test_the_rest_of_a_chance_is_its_place_within_the_token_s_share() -> None:
    logits = torch.log(torch.tensor([[0.5, 0.25, 0.25]]))
    chances = torch.tensor([0.1, 0.5, 0.7, 0.999], dtype=torch.float64)
    tokens, _, rest = draw(logits.expand(4, -1), Decoding(1), chances)
    assert tokens.tolist() == [0, 1, 1, 2] or tokens.tolist() == [0, 0, 1, 2]  # 0.5 is the border
    assert rest[[0, 2, 3]].tolist() == pytest.approx([0.2, 0.8, 0.996], abs=1e-4)


def test_codes_of_a_prompt_lie_evenly_in_an_order_of_their_own() -> None:
    orders = set()
    for seed in range(20):
        codes = Draws.of_prompt(seed, 8, 1, stratified=True).codes
        assert codes is not None
        assert all(after - before == pytest.approx(1 / 8) for before, after in pairwise(sorted(codes)))
        assert 0 <= codes.min() < 1 / 8
        orders.add(tuple(codes.argsort()))
    assert len(orders) > 10


def test_long_completions_stay_fair_once_their_codes_are_used_up(model: PreTrainedModel) -> None:
    """The likeliest token of a position, given what stands before it, comes as often as its probability says."""
    num, length = 200, 40
    completions = drawn(model, 1, num, length)
    expected, found, variance = 0.0, 0, 0.0
    for position in (20, 39):
        prefixes = torch.tensor([(*PROMPT, *c.tokens[:position]) for c in completions])
        with torch.no_grad():
            given = torch.softmax(model(prefixes).logits[:, -1].double(), dim=-1).numpy()
        best = given.argmax(axis=1)
        chance = given[np.arange(num), best]
        found += sum(int(c.tokens[position] == token) for c, token in zip(completions, best.tolist(), strict=True))
        expected, variance = expected + chance.sum(), variance + (chance * (1 - chance)).sum()
    assert abs(found - expected) < 4.5 * np.sqrt(variance)
