"""Every Python block of the README and of docs/ runs, in order, in one namespace for each page."""

import re
from pathlib import Path

import gymnasium as gym
import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCKS = {page.name: re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), flags=re.DOTALL) for page in PAGES}


@pytest.mark.parametrize("name", [name for name, blocks in BLOCKS.items() if blocks])
def test_every_python_block_of_a_page_runs(name: str) -> None:
    namespace: dict[str, object] = {"__name__": "page"}
    registered = dict(gym.registry)
    try:
        for block in BLOCKS[name]:
            exec(block, namespace)
    finally:
        gym.registry.clear()
        gym.registry.update(registered)


def test_there_are_blocks_to_run() -> None:
    assert len(BLOCKS["README.md"]) >= 4
    assert len(BLOCKS["own_task.md"]) >= 4


def test_a_task_of_ones_own_takes_thirty_lines_as_promised() -> None:
    code = [line for line in BLOCKS["own_task.md"][0].splitlines() if line.strip() and not line.startswith("from ")]
    assert len(code) <= 30
