"""Imports run one way, and importing the package is cheap."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {"core": ROOT / "mtgrpo_env", "envs": ROOT / "envs", "agents": ROOT / "agents"}
MODELS = {"torch", "transformers", "vllm", "deepspeed", "trl", "datasets"}
HEAVY = {*MODELS, "sympy", "pyarrow", "openai", "verifiers", "tyro", "rich", "matplotlib", "tensorboard"}

# For each module of the core, the modules of ours that it may import.
CORE_ORDER = [
    {"types"},
    {"spaces", "filters", "metrics", "logit_optimizers", "plans", "recent_shares"},
    {"text_env", "task_weights", "samplers", "advantages", "carry_over"},
    {"suite", "hostile", "task_weights_baselines", "samplers_released", "shares"},
    {"quota_sampler"},
    {"rollout", "schedule", "problem_sets"},
    {"conversations", "episode_statistics", "vector_infos", "multi_task_env", "evaluation", "checker"},
    {"vector"},
]


def sources() -> dict[str, Path]:
    """Every module of the package by its dotted name."""
    found: dict[str, Path] = {}
    for package, folder in PACKAGES.items():
        prefix = "mtgrpo_env" if package == "core" else f"mtgrpo_env.{package}"
        for path in sorted(folder.rglob("*.py")):
            relative = path.relative_to(folder)
            if package == "core" and relative.parts[0] in ("envs", "agents"):
                continue
            parts = [*relative.parts[:-1], relative.stem] if relative.stem != "__init__" else relative.parts[:-1]
            found[".".join([prefix, *parts])] = path
    return found


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imported(path: Path, *, module_level: bool = False) -> set[str]:
    """The modules that a file imports, anywhere in it or at its top level only."""
    tree = tree_of(path)
    names: set[str] = set()
    for node in tree.body if module_level else ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


SOURCES = sources()


def test_the_walk_finds_the_package() -> None:
    assert {"mtgrpo_env.types", "mtgrpo_env.envs.countdown", "mtgrpo_env.agents.llm.learner"} <= SOURCES.keys()


@pytest.mark.parametrize("module", sorted(SOURCES))
def test_imports_run_one_way(module: str) -> None:
    ours = {name for name in imported(SOURCES[module]) if name.split(".")[0] == "mtgrpo_env"}
    if module.startswith("mtgrpo_env.cli") or module == "mtgrpo_env.__main__":
        return
    assert not [name for name in ours if name.startswith("mtgrpo_env.cli")]
    if module.startswith("mtgrpo_env.experiments"):
        return
    if not module.startswith("mtgrpo_env.agents"):
        assert not [name for name in ours if name.startswith("mtgrpo_env.agents")]
    if not module.startswith("mtgrpo_env.envs"):
        assert not [name for name in ours if name.startswith("mtgrpo_env.envs")]


def test_the_core_is_layered() -> None:
    below: set[str] = set()
    listed: set[str] = set()
    for layer in CORE_ORDER:
        listed |= layer
        for name in layer:
            ours = imported(SOURCES[f"mtgrpo_env.{name}"])
            used = {other.split(".")[1] for other in ours if other.startswith("mtgrpo_env.")}
            assert used <= below, f"{name} imports {used - below}"
        below |= layer
    modules = {path.stem for path in PACKAGES["core"].glob("*.py")} - {"__init__", "__main__"}
    assert modules == listed


@pytest.mark.parametrize("module", sorted(SOURCES))
def test_heavy_packages_are_imported_where_they_belong(module: str) -> None:
    roots = {name.split(".")[0] for name in imported(SOURCES[module], module_level=True)}
    allowed: set[str] = set()
    if module.startswith("mtgrpo_env.cli."):
        allowed = {"tyro", "rich", "torch", "transformers"}
    elif module.startswith("mtgrpo_env.experiments.") and module.endswith(("_display", ".compare")):
        allowed = {"rich"}
    elif module.startswith(("mtgrpo_env.agents.llm", "mtgrpo_env.agents.neural", "mtgrpo_env.agents.reports.scalars")):
        allowed = {"torch", "transformers"}
    elif module.startswith("mtgrpo_env.agents.integrations.trl."):
        allowed = {"torch", "transformers", "trl", "datasets"}
    elif module.startswith("mtgrpo_env.agents.reports.figure"):
        allowed = {"matplotlib"}
    elif module == "mtgrpo_env.agents.endpoints.openai_server":
        allowed = {"openai"}
    elif module == "mtgrpo_env.envs.verifiers_env":  # its classes are verifiers' own
        allowed = {"verifiers", "openai"}
    assert roots & HEAVY <= allowed


@pytest.mark.parametrize("module", sorted(SOURCES))
def test_torch_is_never_imported_outside_its_folders_not_even_inside_a_function(module: str) -> None:
    folders = ("agents.neural", "agents.llm", "agents.integrations.trl", "agents.reports.scalars", "cli", "experiments")
    roots = {name.split(".")[0] for name in imported(SOURCES[module])}
    if not module.startswith(tuple(f"mtgrpo_env.{folder}" for folder in folders)):
        assert not roots & {"torch", "transformers", "tokenizers", "vllm", "deepspeed"}


@pytest.mark.parametrize("module", sorted(SOURCES))
def test_modules_are_imported_by_their_full_names(module: str) -> None:
    """Relative imports, and names from the bare package, would pass by the checks above."""
    relative = [node for node in ast.walk(tree_of(SOURCES[module])) if isinstance(node, ast.ImportFrom) and node.level]
    assert not relative
    if not module.startswith("mtgrpo_env.cli"):
        assert "mtgrpo_env" not in imported(SOURCES[module])


@pytest.mark.parametrize("module", sorted(SOURCES))
def test_no_module_is_named_like_a_package_it_imports(module: str) -> None:
    roots = {name.split(".")[0] for name in imported(SOURCES[module])}
    assert module.rsplit(".", 1)[-1] not in roots - {"mtgrpo_env"}


def test_importing_the_package_loads_numpy_and_gymnasium_only() -> None:
    code = f"import mtgrpo_env, sys; print(sorted(set(sys.modules) & {HEAVY!r}))"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert printed.stdout.strip() == "[]"


def test_tasks_and_the_torch_free_agent_load_nothing_heavy_either() -> None:
    light = [name for name in SOURCES if name.startswith(("mtgrpo_env.envs", "mtgrpo_env.agents"))]
    light = [name for name in light if not name.endswith("worker")]  # these run in processes of their own
    light.remove("mtgrpo_env.envs.verifiers_env")
    reports = ("reports.figure", "reports.comparison_report", "reports.scalars")
    heavy = ("llm", "neural", "integrations.trl", "endpoints.openai_server", *reports)
    prefixes = tuple(f"mtgrpo_env.agents.{name}" for name in heavy)
    imports = ", ".join(name for name in light if not name.startswith(prefixes))
    code = f"import {imports}, sys; print(sorted(set(sys.modules) & {HEAVY!r}))"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert printed.stdout.strip() == "[]"
