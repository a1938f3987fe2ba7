"""What the pages say can be typed, clicked and run: their Python blocks, commands, links, and the site made of them."""

from __future__ import annotations

import importlib
import importlib.util
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import gymnasium as gym
import pytest

import mtgrpo_env
from mtgrpo_env import task_registry

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
RESULTS = sorted((ROOT / "benchmarks").rglob("*.md"))


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text("utf-8"), flags=re.DOTALL)


PYTHON = {name_of(page): found for page in PAGES if (found := blocks(page, "python"))}


NEEDS_TORCH = ("agents.neural", "agents.llm", "Trainer", 'policy="mlp"')
OPTIONAL = ("stable_baselines3", "minigrid", "moviepy", "pettingzoo")
"""What no extra of ours brings: a block that needs it is run where it is installed."""
MISSING = [package for package in OPTIONAL if importlib.util.find_spec(package) is None]
SMALLER = {
    "steps=200,": "steps=1, batch_size=2, group_size=2, eval_problems=2,",
    "max_new_tokens=512": "max_new_tokens=4",
}
"""What a page says of a real model, for a tiny one in its place."""


@pytest.fixture(scope="module")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that was never trained, with room for the prompts of any page."""
    from mtgrpo_env.agents.llm.tiny import TinyModelConfig, tiny_model, tiny_tokenizer

    folder, tokenizer = tmp_path_factory.mktemp("models") / "tiny", tiny_tokenizer()
    size = TinyModelConfig(hidden_size=16, num_layers=1, num_heads=2, context=2048)
    for part in (tokenizer, tiny_model(tokenizer, size, seed=0)):
        part.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("name", PYTHON)
def test_every_python_block_of_a_page_runs(
    name: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if any(need in block for block in PYTHON[name] for need in NEEDS_TORCH):
        pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {"__name__": "page"}
    registered, tasks = dict(gym.registry), dict(task_registry._TASKS)
    try:
        for block in PYTHON[name]:
            if any(package in block for package in MISSING):
                continue
            if '"Qwen/Qwen2.5-0.5B-Instruct",' in block:
                block = block.replace('"Qwen/Qwen2.5-0.5B-Instruct",', f'"{request.getfixturevalue("tiny_folder")}",')
                for said, small in SMALLER.items():
                    assert said in block
                    block = block.replace(said, small)
            exec(compile(block, name, "exec", dont_inherit=True), namespace)  # not this file's future
    finally:
        gym.registry.clear()
        gym.registry.update(registered)
        task_registry._TASKS.clear()
        task_registry._TASKS.update(tasks)


def test_there_are_blocks_to_run() -> None:
    assert len(PYTHON["README.md"]) >= 4
    assert len(PYTHON["docs/own_task.md"]) >= 4


def test_a_task_of_ones_own_takes_thirty_lines_as_promised() -> None:
    lines = PYTHON["docs/own_task.md"][0].splitlines()
    assert len([line for line in lines if line.strip() and not line.startswith("from ")]) <= 30


def commands() -> Iterator[tuple[str, tuple[str, ...]]]:
    """Page and words of every line in a block of shell."""
    for page in PAGES:
        for block in blocks(page, "bash"):
            for line in block.replace("\\\n", " ").splitlines():
                if words := shlex.split(line, comments=True):
                    yield name_of(page), tuple(words)


def arguments_of_mtgrpo(words: tuple[str, ...]) -> tuple[str, ...] | None:
    """What follows `mtgrpo`, also where a launcher starts it as a module; None if it is another command."""
    for program in ("mtgrpo", "mtgrpo_env"):
        if program in words:
            return words[words.index(program) + 1 :]
    return None


MTGRPO = [(page, arguments) for page, words in commands() if (arguments := arguments_of_mtgrpo(words)) is not None]


@pytest.mark.parametrize(("page", "arguments"), MTGRPO, ids=[f"{page}: {' '.join(words)}" for page, words in MTGRPO])
def test_every_command_of_ours_has_the_options_that_a_page_gives_it(page: str, arguments: tuple[str, ...]) -> None:
    tyro = pytest.importorskip("tyro")
    command, *options = arguments
    if command in ("train", "compare"):
        pytest.importorskip("torch")
    config = importlib.import_module(f"mtgrpo_env.cli.{command}").Config
    try:
        assert isinstance(tyro.cli(config, args=options), config)
    except SystemExit as error:  # what tyro prints is shown with the failure
        pytest.fail(f"{page}: mtgrpo {shlex.join(arguments)} exits with {error.code}")


def test_commands_are_found_behind_launchers_and_across_lines() -> None:
    assert len(MTGRPO) >= 15
    assert ("README.md", "torchrun") in {(page, words[0]) for page, words in commands()}
    assert arguments_of_mtgrpo(("torchrun", "-m", "mtgrpo_env", "train", "--steps", "1")) == ("train", "--steps", "1")
    assert arguments_of_mtgrpo(("pip", "install", ".")) is None


@pytest.mark.parametrize("page", [page for page in [*PAGES, *RESULTS] if page.name != "log.md"], ids=name_of)
def test_every_script_and_every_target_that_a_page_names_exists(page: Path) -> None:
    text = page.read_text("utf-8")  # but the log, which tells of what there was
    scripts = re.findall(r"\b(?:python|bash|pytest) (?:-q )?([\w./-]+\.(?:py|sh))\b", text)
    assert [script for script in scripts if not (ROOT / script).is_file()] == []
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    assert set(re.findall(r"(?:`|^)make ([a-z][a-z-]*)", text, flags=re.MULTILINE)) <= targets


@pytest.mark.parametrize("page", [*PAGES, *RESULTS], ids=name_of)
def test_every_link_to_a_file_leads_to_one(page: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL))
    local = [link.partition("#")[0] for link in links if not re.match(r"[a-z]+:|#", link)]
    assert [link for link in local if not (page.parent / link).exists()] == []


def test_the_table_of_methods_is_made_from_the_recipes() -> None:
    line = [sys.executable, str(ROOT / "docs" / "recipes_table.py")]
    printed = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert printed in (ROOT / "docs" / "fidelity.md").read_text("utf-8")


def test_figures_of_the_pages_are_small() -> None:
    sizes = {path.name: path.stat().st_size for path in (ROOT / "docs").rglob("*.png")}
    assert sizes
    assert not {name: size for name, size in sizes.items() if size >= 150_000}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built strictly: a warning is an error."""
    missing = [name for name in ("mkdocs", "material", "mkdocstrings") if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"the site needs {missing}: pip install '.[docs]'")
    folder = tmp_path_factory.mktemp("site")
    line = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def test_the_site_asks_no_other_host_for_anything(site: Path) -> None:
    loads = re.compile(r"<(?:script|link|img|iframe|source)\b[^>]*?(?:src|href)=[\"']?(?:https?:)?//[^>]*>")
    pages = list(site.rglob("*.html"))
    assert len(pages) >= len(PAGES)
    assert [found for page in pages for found in loads.findall(page.read_text("utf-8"))] == []
    styles = [path.read_text("utf-8") for path in site.rglob("*.css")]
    assert styles
    assert not [style for style in styles if re.search(r"(?:url\(|@import )[\"']?(?:https?:)?//", style)]


def test_every_public_name_is_in_the_reference_and_is_found_by_the_search(site: Path) -> None:
    reference = "".join(page.read_text("utf-8") for page in (site / "reference").rglob("*.html"))
    anchors = {anchor.rpartition(".")[2] for anchor in re.findall(r'id="(mtgrpo_env\.[\w.]+)"', reference)}
    assert set(mtgrpo_env.__all__) <= anchors
    index = json.loads((site / "search" / "search_index.json").read_text("utf-8"))
    assert any("QuotaSampler" in entry["title"] for entry in index["docs"])


def test_doctests_are_shown_as_code(site: Path) -> None:
    page = (site / "reference" / "weights" / "index.html").read_text("utf-8")
    assert "<blockquote>" not in page
    assert re.search(r'class="gp">&gt;&gt;&gt; ', page)


def test_results_outside_docs_are_part_of_the_site(site: Path) -> None:
    assert (site / "benchmarks" / "results" / "three_tasks" / "worst_task.png").is_file()
    page = (site / "five_figures" / "index.html").read_text("utf-8")
    assert 'href="../benchmarks/results/three_tasks/results/' in page
