"""The leaderboard: the best worst task first, chance beside it, and who failed last with empty cells."""

from __future__ import annotations

from mtgrpo_env.agents.reports.cell import Cell
from mtgrpo_env.agents.reports.leaderboard import HEADER, leaderboard_rows
from mtgrpo_env.agents.reports.scores import Scorer
from mtgrpo_env.agents.reports.scores_table import benchmark_markdown
from mtgrpo_env.chance import TaskChance
from mtgrpo_env.types import Group, Problem, Rollout


def cell(agent: str, *tasks: tuple[bool, ...], levels: dict[str, str] | None = None) -> Cell:
    scorer = Scorer([f"task{k}" for k in range(len(tasks))])
    for k, of_task in enumerate(tasks):
        for seed, right in enumerate(of_task):
            scorer.add(Group(Problem(k, seed), (Rollout((), float(right), right),)))
    chance = {"task0": TaskChance(0.5, 0.25, "always 7")}
    return Cell(agent, "suite", "0123456789ab", 1, 1.0, scorer.scores(levels), levels or {}, chance)


def test_agents_are_ordered_by_their_worst_task_then_by_the_average_and_who_failed_is_last() -> None:
    half, none, all_of_it = (True, False), (False, False), (True, True)
    cells = [cell("low", none, half), cell("best", all_of_it, half), cell("low but", none, all_of_it)]
    header, *rows = leaderboard_rows(cells, ["broken"])
    assert header == [*HEADER]
    assert [row[0] for row in rows] == ["best", "low but", "low", "broken"]
    assert [row[1] for row in rows] == ["task1", "task0", "task0", "-"]
    assert rows[1][2].endswith(" ≈")
    assert rows[1][3:5] == ["50.0", "25.0"]
    assert rows[-1][1:] == ["-"] * (len(HEADER) - 1)


def test_a_report_of_several_agents_has_the_leaderboard_and_who_failed_in_every_table() -> None:
    cells = [cell("one", (True,)), cell("two", (False,))]
    text = benchmark_markdown(cells, command="", failed={"suite": ["broken"]})
    assert "| `broken` | - | - | - | - | - |" in text
    assert "| `broken` | - | - |" in text
    assert text.index("| `one` | task0 |") < text.index("| `two` | task0 |")
    assert "best worst task" not in benchmark_markdown(cells[:1], command="")


def test_levels_are_broken_down_where_there_are_several() -> None:
    levels = {"task0": "easy", "task1": "easy", "task2": "hard"}
    played = cell("one", (True, True), (True, False), (False, False), levels=levels)
    of_level = {name: (total.worst.mean, total.average.mean) for name, total in played.scores.levels.items()}
    assert of_level == {"easy": (0.5, 0.75), "hard": (0.0, 0.0)}
    text = benchmark_markdown([played], command="")
    assert "| agent | level | worst task | average |" in text
    assert "| `one` | hard | 0.0 [" in text
    assert cell("one", (True,), (True,), levels={"task0": "easy", "task1": "easy"}).scores.levels == {}
    assert cell("one", (True,), (True,), levels={"task0": "easy", "task1": "hard"}).scores.levels == {}
