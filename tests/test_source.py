"""What holds of the whole source, read as text."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import sae_merge_method
from sae_merge_method import lm_eval_tasks, recipes
from tests import mutants

# As the files lie: in a checkout the last two are beside the package, installed they are in it, as cli is.
ROOTS = [Path(package.__file__).resolve().parent for package in (sae_merge_method, lm_eval_tasks, recipes)]
LIBRARY = sorted(
    {file for root in ROOTS for file in root.rglob("*.py") if "cli" not in file.relative_to(root).parts}
)


STAGES = {
    "attribute", "diagnose", "merge", "diff", "verify", "lm_eval_tasks", "compare", "energy", "controls", "experiment",
    "publish", "miniature", "train_saes", "tune",
}  # fmt: skip
"""Packages that meet through files alone."""
DRIVERS = {
    "diagnose": {"attribute"}, "experiment": STAGES, "publish": {"merge"}, "miniature": {"train_saes"},
}  # fmt: skip
"""By driver, the stages whose functions it calls in its own process: a diagnosis has a donor attributed beside, an
experiment runs the others arm by arm, a rebuild is a merge, and a miniature's SAEs are trained as anyone's are."""
DOORS = {"", "cli", "hosts"}
"""Who opens the stages to others: Python's door, the commands, the hosts' seam."""
BELOW = (
    "errors", "escape", "statistics", "files", "geometry", "reports", "layers + models", "spacing", "foretold", "recipes",
    "corpora", "artifacts", "selection", "identity", "loaded", "saes", "verdict_tables", "together", "evaluation", "recipe",
    "in_memory",
)  # fmt: skip
"""What the stages stand on, and ``recipe``, which tells them what a recipe means: each imports what stands before it.

One circle is left: layers as people write them know a layer's parts and the names of its tensors, and a
checkpoint knows its tensors by layer.
"""
TASKS = {"tasks_path"}
"""Where lm-eval's tasks lie: a folder, which may be asked for."""


@cache
def _nodes(file: Path) -> tuple[ast.AST, ...]:
    """All that a file's text is made of."""
    return tuple(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))


def _imports(file: Path) -> Iterator[tuple[str, str]]:
    """Of a file of ours, wherever in it: the package, and a name that is imported from it."""
    for node in _nodes(file):
        if isinstance(node, ast.Import):
            names = [(alias.name, "") for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [(f"{node.module}.{alias.name}", alias.name) for alias in node.names]
        else:
            continue
        for module, name in names:
            if module.startswith("sae_merge_method."):
                yield module.split(".")[1], name


def _package(file: Path) -> str:
    root = next(root for root in ROOTS[::-1] if root in file.parents)
    inside = file.relative_to(root).parts
    return root.name if root != ROOTS[0] else inside[0] if len(inside) > 1 else ""


def _step(package: str) -> int:
    """The place in ``BELOW``; of what stands higher, a place behind all."""
    return next((nth for nth, step in enumerate(BELOW) if package in step.split(" + ")), len(BELOW))


def _shown(file: Path) -> str:
    return "/".join(file.parts[-2:])


def test_no_stage_imports_another_and_nothing_that_they_stand_on_imports_one():
    foreign = set()
    for file in LIBRARY:
        own = _package(file)
        others = STAGES - {own, *DRIVERS.get(own, ())} if own not in DOORS else set()
        imported = {package for package, name in _imports(file) if name not in TASKS}
        foreign |= {(_shown(file), package) for package in imported & others}
    assert foreign == set()


def test_what_the_stages_stand_on_imports_only_what_stands_before_it():
    upwards = {
        (_shown(file), package)
        for file in LIBRARY
        for package, name in _imports(file)
        if _step(package) > _step(_package(file) or file.stem) and name not in TASKS
    }
    assert upwards == set()


def test_every_package_has_its_place_below_the_stages_among_them_or_as_a_door():
    below = {package for step in BELOW for package in step.split(" + ")}
    packages = {_package(file) or file.stem for file in LIBRARY} - {"__init__", "_startup"}
    assert packages == below | STAGES | DOORS - {"", "cli"}


def _calls(file: Path, name: str) -> list[int]:
    calls = (node for node in _nodes(file) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name))
    return [call.lineno for call in calls if call.func.id == name]


def test_what_has_a_home_stands_in_it():
    loose = {file.stem for file in ROOTS[0].glob("*.py")} - {"__init__", "_startup"}
    assert loose == {"errors", "escape", "foretold", "layers", "selection", "spacing"}


def test_the_library_prints_nothing():
    assert [(_shown(file), lines) for file in LIBRARY if (lines := _calls(file, "print"))] == []


def test_progress_is_shown_where_its_reader_looks():
    """In a notebook stderr is no terminal: tqdm.auto has the notebook's own bar there."""
    imported = {
        (_shown(file), node.module)
        for file in LIBRARY
        for node in _nodes(file)
        if isinstance(node, ast.ImportFrom)
    }
    assert [file for file, module in imported if module == "tqdm"] == []


def test_the_source_that_was_read_is_all_of_it():
    assert len(LIBRARY) > 100
    assert {"__init__.py", "_startup.py", "utils.py"} <= {file.name for file in LIBRARY}


@pytest.mark.parametrize("module", mutants.PURE)
def test_a_module_that_mutants_are_made_of_has_tests_of_its_own(module):
    assert (mutants.ROOT / "sae_merge_method" / module).is_file()
    assert (mutants.ROOT / mutants.tests_of(module)).is_file()


def test_the_copy_that_mutants_are_made_in_is_whole(tmp_path):
    tomllib = pytest.importorskip("tomllib")
    mutants.prepare(tmp_path / "copy", mutants.PURE[:2])
    settings = tomllib.loads((tmp_path / "copy" / "mutants.toml").read_text())["cosmic-ray"]
    assert all((tmp_path / "copy" / module).is_file() for module in settings["module-path"])
    assert settings["test-command"].endswith("mutants.py ask")
    assert (tmp_path / "copy" / ".view" / "sae_merge_method" / "cli" / "main.py").is_file()
