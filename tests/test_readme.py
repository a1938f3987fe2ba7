"""Every Python block of the README runs, in order, in one namespace."""

import re
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"
BLOCKS = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)


def test_every_python_block_of_the_readme_runs() -> None:
    assert len(BLOCKS) >= 4
    namespace: dict[str, object] = {}
    for block in BLOCKS:
        exec(block, namespace)
