"""Mutation testing of the pure modules: what could be wrong in them without a test failing?

``make mutants`` has cosmic-ray change one operator, number, keyword or decorator of a module at a time and run
the module's own tests. The mutants that no test notices are printed, and the share that some test does.
cosmic-ray changes files where they lie, so it works on copies of the tree, one a process.
"""

import filecmp
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
COPIES = ROOT / "build" / "mutants"
COPIED = ("sae_merge_method", "cli", "lm_eval_tasks", "recipes", "tests", "pyproject.toml")

PURE = (
    "artifacts/recipe.py",
    "diagnose/specificity.py",
    "geometry/basis.py",
    "geometry/energy.py",
    "geometry/projection.py",
    "geometry/spectra.py",
    "layers.py",
    "recipe/gate.py",
    "selection.py",
    "statistics/curves.py",
    "statistics/differences.py",
    "statistics/intervals.py",
    "statistics/losses.py",
    "statistics/multiplicity.py",
    "statistics/permutation.py",
    "statistics/tests.py",
    "statistics/verdicts.py",
)
"""In ``sae_merge_method``. The tests of ``a/b.py`` are ``tests/a/test_b.py``."""

# "int | None" is no arithmetic, and two other operators in place of one tell as much as eleven.
EXCLUDED = (
    "core/ReplaceBinaryOperator_BitOr_.*",
    "core/ReplaceBinaryOperator_.*_(FloorDiv|Mod|Pow|RShift|LShift|BitOr|BitAnd|BitXor)",
)
SECONDS = 300
"""After which a mutant that hangs counts as noticed."""


def tests_of(module: str) -> str:
    """Where the tests of a pure module stand."""
    path = Path(module)
    return (Path("tests") / path.parent / f"test_{path.name}").as_posix()


def tests_of_changed(copy: Path) -> int:
    """Run, in a copy, the tests of the module that differs from the original; of all where none does."""
    package = Path("sae_merge_method")
    changed = [
        one for one in PURE if not filecmp.cmp(ROOT / package / one, copy / package / one, shallow=False)
    ]
    words = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"]
    return subprocess.run([*words, *map(tests_of, changed or PURE)], cwd=copy).returncode


def prepare(copy: Path, modules: Sequence[str]) -> None:
    """Copy the tree, make it importable under the installed names, and say to cosmic-ray what to do."""
    for name in COPIED:
        source, target = ROOT / name, copy / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(source, target)
    view = copy / ".view" / "sae_merge_method"
    view.mkdir(parents=True)
    for path in [*(copy / "sae_merge_method").iterdir(), *(copy / name for name in COPIED[1:4])]:
        (view / path.name).symlink_to(path)
    settings = {
        "module-path": [f"sae_merge_method/{module}" for module in modules],
        "timeout": float(SECONDS),
        "excluded-modules": [],
        "test-command": f"{sys.executable} {Path(__file__)} test {copy}",
    }
    # JSON's strings, numbers and lists are TOML's.
    lines = ["[cosmic-ray]", *(f"{key} = {json.dumps(value)}" for key, value in settings.items())]
    lines += ["[cosmic-ray.distributor]", 'name = "local"']
    lines += ["[cosmic-ray.filters.operators-filter]", f"exclude-operators = {json.dumps(EXCLUDED)}"]
    (copy / "mutants.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")


def commands() -> list[list[str]]:
    """What is run in a copy, one after another."""
    words = [
        ["cosmic-ray", "init", "mutants.toml", "mutants.sqlite"],
        ["cr-filter-operators", "mutants.sqlite", "mutants.toml"],
        ["cosmic-ray", "baseline", "mutants.toml"],
        ["cosmic-ray", "exec", "mutants.toml", "mutants.sqlite"],
    ]
    return [[str(Path(sys.executable).with_name(name)), *rest] for name, *rest in words]


def environment(copy: Path) -> dict[str, str]:
    """That of a copy: its own package first, one thread a process."""
    return {**os.environ, "PYTHONPATH": str(copy / ".view"), "OMP_NUM_THREADS": "1"}


def results(copy: Path) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Mutant and result of each that was run."""
    dump = [str(Path(sys.executable).with_name("cosmic-ray")), "dump", "mutants.sqlite"]
    done = subprocess.run(dump, cwd=copy, env=environment(copy), check=True, capture_output=True, text=True)
    for line in done.stdout.splitlines():
        item, result = json.loads(line)
        if result is not None and result["worker_outcome"] != "skipped":
            yield item, result


def run(processes: int) -> int:
    """The whole run; 0 where nine mutants of ten are noticed."""
    shutil.rmtree(COPIES, ignore_errors=True)
    copies = [COPIES / str(number) for number in range(processes)]
    for number, copy in enumerate(copies):
        prepare(copy, PURE[number::processes])
    script = " && ".join(" ".join(words) for words in commands())
    running = [subprocess.Popen(script, shell=True, cwd=copy, env=environment(copy)) for copy in copies]
    failed = [one.args for one in running if one.wait()]
    if failed:
        print("cosmic-ray failed: see above")
        return 1
    found = [one for copy in copies for one in results(copy)]
    alive = [(item, result) for item, result in found if result["test_outcome"] == "survived"]
    for _, result in alive:
        print(result["diff"])
    noticed = len(found) - len(alive)
    print(f"{noticed} of {len(found)} mutants noticed: {noticed / max(len(found), 1):.1%}")
    return int(noticed < 0.9 * len(found))


if __name__ == "__main__":
    what, argument = sys.argv[1:3]
    sys.exit(tests_of_changed(Path(argument)) if what == "test" else run(int(argument)))
