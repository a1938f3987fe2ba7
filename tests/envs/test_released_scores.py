r"""Our scores against the released code's, response by response.

In `released` extraction mode all agree. In the default mode ours differ on these kinds only, and ours are right:

- trailing_newline, sentence_after: something follows the box. The released code reads the last line alone, so it
  gives nothing for an answer that stands one line higher.
- no_marker: the response does not open with `Assistant:`; a policy's own text seldom does, the prompt's end does.
- nested: `\boxed{\text{...}}`, a right answer with its typesetting.
- fbox: `\fbox{...}`, which is LaTeX's own box.
- plain, with an empty box: it commits to nothing. Scoring it like a wrong answer pays for the format alone.

But for the empty box, ours is what the released code itself gives for the same answer asked plainly.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from mtgrpo_env.envs.answers import Extraction, last_box
from mtgrpo_env.envs.mtreason import PAPER_TASKS, REASON_TASKS
from mtgrpo_env.envs.responses import StoredResponse, read_responses
from mtgrpo_env.envs.row_scorers import as_fields
from mtgrpo_env.text_env import Verdict


@dataclass(frozen=True, slots=True)
class Scored:
    """A stored response, what kind it is of, the released code's score and our verdict."""

    stored: StoredResponse
    kind: str
    released_score: float
    verdict: Verdict

    @property
    def problem_and_answer(self) -> tuple[str, str, str | None]:
        return self.stored.row.task, json.dumps(self.stored.row.ground_truth), last_box(self.stored.response)


@pytest.fixture(scope="module")
def released(paper_tasks: Path) -> list[tuple[dict[str, Any], StoredResponse]]:
    path = paper_tasks / "released_scores.jsonl"
    with path.open(encoding="utf-8") as lines:
        return list(zip(map(json.loads, lines), read_responses(path), strict=True))


def test_every_released_score_is_reproduced_in_released_mode(
    released: list[tuple[dict[str, Any], StoredResponse]],
) -> None:
    scored = [_score(columns, stored, "released") for columns, stored in released]
    assert len(scored) == 1940
    assert [one for one in scored if one.verdict.reward != one.released_score] == []


def test_the_default_mode_differs_only_on_known_kinds_and_scores_what_was_answered_however_it_was_wrapped(
    released: list[tuple[dict[str, Any], StoredResponse]],
) -> None:
    scored = [_score(columns, stored, "last-box") for columns, stored in released]
    plainly = {one.problem_and_answer: one.released_score for one in scored if one.kind == "plain"}
    differing = [one for one in scored if one.verdict.reward != one.released_score]
    for one in differing:
        if one.kind == "plain":  # an empty box, or a full stop in it
            assert one.stored.response.endswith(("\\boxed{}", ".}"))
            assert (one.released_score, one.verdict.outcome) in ((0.1, "no_answer"), (0.1, "correct"))
        else:
            assert one.released_score < one.verdict.reward == plainly[one.problem_and_answer]
    kinds = {"trailing_newline", "sentence_after", "no_marker", "nested", "fbox", "plain"}
    assert {(one.stored.row.task, one.kind) for one in differing} == set(product(PAPER_TASKS, kinds))


def _score(columns: dict[str, Any], stored: StoredResponse, extraction: Extraction) -> Scored:
    task = REASON_TASKS[stored.row.task](extraction=extraction)
    verdict = task.verify(
        task.from_ground_truth(as_fields(stored.row.ground_truth), stored.row.prompt), stored.response
    )
    return Scored(stored, columns["kind"], columns["released_score"], verdict)
