"""Methods by name: a recipe is one plain function for each method and source.

A published name means what was published: `mt-grpo` is the paper's Subroutine 1 with its Algorithm 2,
`mt-grpo@released` what its released code does; ours have names of their own.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import partial
from typing import Any

from mtgrpo_env.agents.recipes import literature, ours, paper, released
from mtgrpo_env.agents.recipes.method import Method, Recipe, RunFacts
from mtgrpo_env.named_objects import did_you_mean

__all__ = ["DEFAULT_METHOD", "RECIPES", "Method", "Recipe", "RunFacts", "make_method", "named_method", "options_of"]

DEFAULT_METHOD = "quota-mt-grpo"


def _published(source: Any) -> dict[str, Recipe]:
    """The methods of the paper, as a module has them."""
    return {
        "mt-grpo": source.mt_grpo,
        "grpo": source.grpo,
        "dapo": source.dapo,
        "sec-grpo": source.sec_grpo,
        "sec-dapo": source.sec_dapo,
        "iwu-only": source.iwu_only,
        "iwu-dapo": source.iwu_dapo,
        "rps-only": source.rps_only,
        "no-acceptance": source.no_acceptance,
        "reg-1e-5": partial(source.reg, decay=1e-5),
        "reg-5e-4": partial(source.reg, decay=5e-4),
        "reg-1e-2": partial(source.reg, decay=1e-2),
        "sequential-forward": partial(source.sequential, backward=False),
        "sequential-backward": partial(source.sequential, backward=True),
    }


RECIPES: Mapping[str, Recipe] = {
    "quota-mt-grpo": ours.quota_mt_grpo,
    **_published(paper),
    "gdro": literature.gdro,
    "dump": literature.dump,
    "quota-iwu": ours.quota_iwu,
    "quota-only": ours.quota_only,
    "one-round": ours.one_round,
    **{f"{name}@released": recipe for name, recipe in _published(released).items()},
}
"""Every method by name: help texts, the docs' table and the golden traces are made from this."""


def named_method(name: str) -> Recipe:
    """The recipe of a name.

    Args:
        name: one of `RECIPES`; one that takes λ with its λ behind it, as in "mt-grpo-0.9" or "mt-grpo-0.9@released"; or
            "package.module:function", a recipe of one's own.

    Raises:
        ValueError: if there is no such method.
    """
    if ":" in name:
        from mtgrpo_env.named_tasks import named_object

        recipe: Recipe = named_object(name)
        if not callable(recipe):
            raise ValueError(f"method {name!r} must be a function that makes a Method, got {recipe!r:.80}")
        return recipe
    if name in RECIPES:
        return RECIPES[name]
    method, at, source = name.partition("@")
    base, _, number = method.rpartition("-")
    found = RECIPES.get(f"{base}{at}{source}")
    if found is None or "reward_coef" not in options_of(found) or not _is_number(number):
        raise ValueError(
            f'method must be one of {list(RECIPES)}, one that takes reward_coef with it, as in "mt-grpo-0.9", or '
            f'"package.module:function", got {name!r}{did_you_mean(name, RECIPES)}'
        )
    return partial(found, reward_coef=float(number))


def options_of(recipe: Recipe) -> frozenset[str]:
    """The options that a recipe takes and that are not settled by its name."""
    settled = recipe.keywords if isinstance(recipe, partial) else {}
    found = inspect.signature(recipe.func if isinstance(recipe, partial) else recipe).parameters.values()
    return frozenset(p.name for p in found if p.kind is p.KEYWORD_ONLY).difference(settled)


def make_method(name: str, facts: RunFacts, **options: Any) -> Method:
    """The method of a name, with options of its recipe.

    Raises:
        ValueError: if there is no such method, it takes no such option, or what it makes is no `Method`.

    >>> make_method("dapo", RunFacts(num_tasks=3, batch_size=32), tolerance=0.05)
    Traceback (most recent call last):
    ValueError: method 'dapo' takes no options, got tolerance
    """
    recipe = named_method(name)
    known = options_of(recipe)
    if unknown := sorted(options.keys() - known):
        takes = f"the options {sorted(known)}" if known else "no options"
        raise ValueError(f"method {name!r} takes {takes}, got {', '.join(unknown)}")
    try:
        inspect.signature(recipe).bind(facts, **options)
    except TypeError as error:
        raise ValueError(f"method {name!r} must be made from RunFacts and its options: {error}") from error
    method = recipe(facts, **options)
    if not isinstance(method, Method):
        raise ValueError(f"method {name!r} must make a Method, got {method!r:.80}")
    return method


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).isdecimal()
