"""A reward of one's own: a function of what the model wrote and of the row's columns."""


def backwards(completion: str, word: str) -> float:
    """The share of letters that stand where they should; 1.0 is right."""
    answer, right = completion.strip(), word[::-1]
    if len(answer) != len(right):
        return 0.0
    return sum(a == b for a, b in zip(answer, right, strict=True)) / len(right)
