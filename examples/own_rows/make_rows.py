"""Two files of rows, and a tiny model that knows one task better than the other: rows of your own without a download.

    cd examples/own_rows
    python make_rows.py
    mtgrpo check --rows sums.jsonl words.jsonl --reward sums=number words=my_rewards:backwards
    mtgrpo train --tasks sums.jsonl words.jsonl --reward sums=number words=my_rewards:backwards --model tiny --lr 4e-4 \
--max-new-tokens 6 --steps 40 --out runs/own

With rows and a model of yours the last two commands are all there is.
"""

import argparse
import json
import string
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mtgrpo_env.agents.llm.tiny import TinyModelConfig, imitate, tiny_model, tiny_tokenizer

KNOWN = {"sums": 0.8, "words": 0.1}  # share of right answers among those that the model imitates


def sums() -> list[dict[str, str]]:
    """Single-digit sums and what they come to."""
    return [{"question": f"{a}+{b}=", "answer": str(a + b)} for a in range(10) for b in range(10)]


def words(rng: np.random.Generator) -> list[dict[str, str]]:
    """Words to be written backwards; the reward knows what is right."""
    letters = np.array(list(string.ascii_lowercase[:6]))
    drawn = {"".join(rng.choice(letters, size=3)) for _ in range(300)}
    return [{"question": f"{word} backwards:", "word": word} for word in sorted(drawn)]


def main() -> None:
    """Write everything into the working directory."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--lesson", type=int, default=400, help="steps of imitation")
    args = parser.parse_args()
    rows = {"sums": sums(), "words": words(np.random.default_rng(0))}
    for name, of_task in rows.items():
        Path(f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in of_task), encoding="utf-8")

    def demonstrate(rng: np.random.Generator, count: int) -> Sequence[tuple[str, str]]:
        shown = []
        for i in range(count):
            name = ("sums", "words")[i % 2]
            row = rows[name][int(rng.integers(len(rows[name])))]
            right = row["answer"] if name == "sums" else row["word"][::-1]
            wrong = str(int(rng.integers(19))) if name == "sums" else row["word"]
            shown.append((row["question"], right if rng.random() < KNOWN[name] else wrong))
        return shown

    tokenizer = tiny_tokenizer()
    model = tiny_model(tokenizer, TinyModelConfig(), seed=0)
    imitate(model, tokenizer, demonstrate, num_steps=args.lesson, batch_size=64, lr=6e-3)
    model.save_pretrained("tiny")
    tokenizer.save_pretrained("tiny")


if __name__ == "__main__":
    main()
