"""Imports run one way, and importing the package is cheap."""

import ast
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import mtgrpo_env

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {"core": ROOT / "mtgrpo_env", "envs": ROOT / "envs", "agents": ROOT / "agents"}
MODELS = {"torch", "transformers", "vllm", "deepspeed", "trl", "datasets"}
OF_OTHERS = {"openai", "verifiers", "inspect_ai", "lm_eval"}
FOR_PEOPLE = {
    "agents.display",
    "agents.run_panel",
    "agents.llm.plan",
    "agents.llm.timing",
    "safe_console",
}  # what draws on a terminal
HEAVY = {*MODELS, *OF_OTHERS, "sympy", "pyarrow", "tyro", "rich", "yaml", "matplotlib", "tensorboard"}


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


def test_the_import_contracts_hold() -> None:
    """One way, from the core up, and no cycle: `[tool.importlinter]` in pyproject.toml."""
    pytest.importorskip("importlinter", reason="import-linter comes with the extra dev")
    code = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True, no_logo=True))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stdout
    assert f"Analyzed {len(SOURCES)} files" in done.stdout  # the linked folders too


@pytest.mark.parametrize("folder", ["agents", "envs"])
@pytest.mark.parametrize("module", ["{}", "{}.base", "{}.countdown"])
def test_a_folder_of_the_checkout_is_no_package_of_its_own(folder: str, module: str) -> None:
    code = f"import {module.format(folder)}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"ImportError: import mtgrpo_env.{folder} instead of {folder}: ")


def test_every_public_name_is_found_and_none_is_a_module() -> None:
    assert list(mtgrpo_env._MODULES) == mtgrpo_env.__all__ == sorted(mtgrpo_env.__all__)
    assert set(mtgrpo_env.__all__) <= set(dir(mtgrpo_env))
    assert not set(mtgrpo_env.__all__) & {module.name for module in pkgutil.iter_modules(mtgrpo_env.__path__)}
    for name in mtgrpo_env.__all__:
        assert getattr(mtgrpo_env, name).__name__ == name


def test_type_checkers_see_the_public_names_where_they_are() -> None:
    (branch,) = [node for node in tree_of(SOURCES["mtgrpo_env"]).body if isinstance(node, ast.If)]
    seen = {alias.name: node.module for node in branch.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert seen == {name: f"mtgrpo_env.{module}" for name, module in mtgrpo_env._MODULES.items()}


def test_a_name_that_is_not_public_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match="module 'mtgrpo_env' has no attribute 'success_differs'"):
        mtgrpo_env.success_differs  # noqa: B018  # pyright: ignore[reportAttributeAccessIssue]


def test_a_name_that_needs_a_package_says_which_extra_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(mtgrpo_env._MODULES, "MLPPolicy", "agents.neural.mlp")
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "mtgrpo_env.agents.neural.mlp", raising=False)
    with pytest.raises(
        ImportError, match=r"^MLPPolicy needs torch: pip install '\.\[train\]' in the checkout$"
    ) as caught:
        mtgrpo_env.MLPPolicy  # noqa: B018  # pyright: ignore[reportAttributeAccessIssue]
    assert caught.value.name == "torch"


@pytest.mark.parametrize("module", sorted(SOURCES))
def test_heavy_packages_are_imported_where_they_belong(module: str) -> None:
    roots = {name.split(".")[0] for name in imported(SOURCES[module], module_level=True)}
    allowed: set[str] = set()
    if module.startswith("mtgrpo_env.cli."):
        allowed = {"tyro", "rich", "torch", "transformers"}
    elif module.removeprefix("mtgrpo_env.") in FOR_PEOPLE:
        allowed = {"rich", "torch", "transformers"}
    elif module.startswith("mtgrpo_env.experiments.") and module.endswith(("_display", ".compare")):
        allowed = {"rich"}
    elif module.startswith(
        ("mtgrpo_env.agents.llm", "mtgrpo_env.agents.neural", "mtgrpo_env.agents.trackers.tensorboard_events")
    ):
        allowed = {"torch", "transformers"}
    elif module.startswith("mtgrpo_env.agents.integrations.trl."):
        allowed = {"torch", "transformers", "trl", "datasets"}
    elif module.startswith("mtgrpo_env.agents.reports.figure"):
        allowed = {"matplotlib"}
    elif module in ("mtgrpo_env.agents.endpoints.openai_server", "mtgrpo_env.agents.endpoints.bounds"):
        allowed = {"openai"}
    elif module == "mtgrpo_env.envs.verifiers_env":  # its classes are verifiers' own
        allowed = {"verifiers", "openai"}
    elif module == "mtgrpo_env.envs.inspect_task":  # and its solver and scorer inspect's
        allowed = {"inspect_ai"}
    assert roots & HEAVY <= allowed


@pytest.mark.parametrize("module", sorted(SOURCES))
def test_torch_is_never_imported_outside_its_folders_not_even_inside_a_function(module: str) -> None:
    folders = (
        "agents.neural",
        "agents.llm",
        "agents.integrations.trl",
        "agents.trackers.tensorboard_events",
        "cli",
        "experiments",
    )
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
    for of_others in ("verifiers_env", "inspect_task"):
        light.remove(f"mtgrpo_env.envs.{of_others}")
    reports = ("reports.figure", "reports.comparison_report", "trackers", "trainer", "callbacks")
    callbacks = ("display", "run_panel", "response_watch")
    heavy = ("llm", "neural", "integrations.trl", "endpoints.openai_server", "endpoints.bounds", *reports, *callbacks)
    prefixes = tuple(f"mtgrpo_env.agents.{name}" for name in heavy)
    imports = ", ".join(name for name in light if not name.startswith(prefixes))
    code = f"import {imports}, sys; print(sorted(set(sys.modules) & {HEAVY!r}))"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert printed.stdout.strip() == "[]"
