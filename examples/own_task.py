"""A text task of your own, checked by one call, in a suite with one of ours.

python examples/own_task.py
"""

import numpy as np

from mtgrpo_env import TaskSuite, TextEnv, Verdict, check_task
from mtgrpo_env.evaluation import evaluate_answers, guess, oracle


class Reverse(TextEnv[str]):
    """Write a word backwards."""

    def generate(self, rng: np.random.Generator) -> str:
        """Draw a word of six letters."""
        return "".join(rng.choice(list("abcdefgh"), size=6))

    def prompt(self, puzzle: str) -> str:
        """Ask for it backwards."""
        return f"Write {puzzle} backwards."

    def verify(self, puzzle: str, response: str) -> Verdict:
        """Compare, and never evaluate: a response may hold anything."""
        if not response.strip():
            return Verdict(0.0, is_success=False, outcome="no_answer")
        is_right = response.strip() == puzzle[::-1]
        return Verdict(1.0 if is_right else 0.1, is_right, "correct" if is_right else "wrong")

    def oracle(self, puzzle: str) -> str:
        """The answer."""
        return puzzle[::-1]

    def guess(self, puzzle: str, rng: np.random.Generator) -> str:
        """The letters in random order."""
        return "".join(rng.permutation(list(puzzle)))


def main() -> None:
    """Check the task, then score an oracle and a guesser on it."""
    suite = TaskSuite([Reverse, "countdown-mini"])
    check_task(suite["Reverse"])
    print("check_task found nothing wrong with it")
    for answer in (oracle, guess):
        result = evaluate_answers(suite, answer, suite.held_out(100))
        accuracies = ", ".join(f"{name} {a:.0%}" for name, a in zip(result.names, result.accuracies, strict=True))
        print(f"{answer.__name__:7} {accuracies}; worst task {result.worst:.0%}")


if __name__ == "__main__":
    main()
