"""Reward functions as people write them, good and bad, that worker processes can import."""

from __future__ import annotations

import asyncio
import os
import time
from typing import Any

calls: list[Any] = []
"""What the functions here were called with, in this process."""


def city(completion: str, ground_truth: Any, country: str = "") -> float:
    return float(completion.strip() == str(ground_truth["target"]) and completion != country)


def everything(**columns: Any) -> float:
    calls.append(columns)
    return 0.5


def compute_score(data_source: str, solution_str: str, ground_truth: Any, extra_info: Any = None) -> dict[str, Any]:
    calls.append((data_source, solution_str, ground_truth, extra_info))
    return {"score": float(str(ground_truth) in solution_str), "acc": 1.0}


def trl(prompts: list[Any], completions: list[Any], answer: list[str], log_metric: Any, **columns: Any) -> list[Any]:
    log_metric("length", 1.0)
    calls.append((prompts, completions, answer, sorted(columns)))
    return [float(right in str(given)) for given, right in zip(completions, answer, strict=True)]


def trl_poisoned(completions: list[str], **columns: Any) -> list[float]:
    calls.append(list(completions))
    if "poison" in completions:
        raise KeyError("poison")
    return [1.0 for _ in completions]


async def awaits(completion: str, ground_truth: Any) -> float:
    calls.append(completion)
    await asyncio.sleep(0)
    return float(completion == ground_truth["target"])


async def trl_async(completions: list[str], **columns: Any) -> list[float]:
    calls.append(list(completions))
    await asyncio.sleep(0)
    return [1.0 for _ in completions]


def unruly(completion: str) -> float:
    while completion == "hang":
        time.sleep(0.01)
    if completion == "die":
        os._exit(3)
    return float(completion == "right")


def typo(completion: str, ground_truth: Any) -> float:
    return float(completion == ground_truth["targte"])


def text(completion: str) -> Any:
    return "1.0"


def any_number(completion: str) -> float:
    return float(any(character in "0123456789" for character in completion))


def contains(completion: str, ground_truth: Any) -> float:
    return float(ground_truth["target"] in completion)
