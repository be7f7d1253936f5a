"""Mutation testing of the pure modules: what could be wrong in them without a test failing?

``make mutants`` has cosmic-ray change one operator, number, keyword or decorator of a module at a time and run
the module's own tests. The mutants that no test notices are printed, and the share that some test does.
cosmic-ray changes files where they lie, so it works on copies of the tree, one a process. The libraries are
most of what a test run costs: a server beside each copy loads them once, and every run is a fork of it.
"""

import filecmp
import gc
import importlib
import inspect
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
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
    "spacing.py",
    "statistics/beside_curve.py",
    "statistics/curves.py",
    "statistics/differences.py",
    "statistics/equal_gain.py",
    "statistics/evidence.py",
    "statistics/flips.py",
    "statistics/interpolation.py",
    "statistics/intervals.py",
    "statistics/losses.py",
    "statistics/multiplicity.py",
    "statistics/pairs.py",
    "statistics/paths.py",
    "statistics/permutation.py",
    "statistics/power.py",
    "statistics/shares.py",
    "statistics/tests.py",
    "statistics/verdicts.py",
)
"""In ``sae_merge_method``. The tests of ``a/b.py`` are ``tests/a/test_b.py``."""

# "int | None" is no arithmetic, and two other operators in place of one tell as much as eleven.
EXCLUDED = (
    "core/ReplaceBinaryOperator_BitOr_.*",
    "core/ReplaceBinaryOperator_.*_(FloorDiv|Mod|Pow|RShift|LShift|BitOr|BitAnd|BitXor)",
)
SECONDS = 120
"""After which a mutant that hangs counts as noticed."""
LIBRARIES = (
    "torch", "transformers.models.auto.modeling_auto", "safetensors.torch", "pydantic.fields", "yaml",
    "click.testing", "xxhash", "hypothesis.extra.numpy", "scipy.stats", "statsmodels.stats.proportion", "statsmodels.stats.power",
)  # fmt: skip
NO_PLUGINS = ("-p", "no:cacheprovider", "-p", "no:unraisableexception", "-p", "no:xdist")
DOOR, LOG, VIEW = "mutants.socket", "mutants.log", ".view"


def tests_of(module: str) -> str:
    """Where the tests of a pure module stand."""
    path = Path(module)
    return (Path("tests") / path.parent / f"test_{path.name}").as_posix()


def changed_modules(copy: Path) -> list[str]:
    """The pure modules of a copy that differ from the original."""
    package = Path("sae_merge_method")
    return [one for one in PURE if not filecmp.cmp(ROOT / package / one, copy / package / one, shallow=False)]


def serve(modules: Sequence[str]) -> None:
    """Answer each connection with the exit code of a mutant's tests, run in a fork with the libraries loaded.

    Args:
        modules: Whose tests are run where this copy has no mutant.
    """
    copy = Path.cwd()
    sys.path[:1] = [str(copy / VIEW), str(copy)]  # in place of this file's folder
    import pytest

    sys.dont_write_bytecode = True  # two mutants of one second and one length would share a file
    for name in ("sae_merge_method", *LIBRARIES):  # ours, by itself, so that it is that of the view
        importlib.import_module(name)
    inspect.getmodule(serve)  # fills a table over all modules, which pydantic would fill in every fork
    gc.freeze()
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(DOOR)
        door.listen()
        while True:
            caller, _ = door.accept()
            with caller:
                changed = changed_modules(copy)
                words = ["-x", "-q", *NO_PLUGINS, *map(tests_of, changed or modules)]
                child = os.fork()
                if not child:
                    signal.alarm(SECONDS if changed else 0)
                    code = pytest.main(words)
                    sys.stdout.flush()
                    os._exit(code)
                caller.sendall(bytes([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) % 256]))


def start(copy: Path, modules: Sequence[str]) -> "subprocess.Popen[bytes]":
    """Start the server of a copy; what its tests print goes to a file beside them."""
    words = [sys.executable, __file__, "serve", *modules]
    with (copy / LOG).open("wb") as log:
        return subprocess.Popen(words, cwd=copy, env=environment(copy), stdout=log, stderr=log)


def ask() -> int:
    """Have the server of the copy in which we are run the tests; their exit code."""
    with socket.socket(socket.AF_UNIX) as caller:
        caller.connect(DOOR)
        return caller.recv(1)[0]


def prepare(copy: Path, modules: Sequence[str]) -> None:
    """Copy the tree, make it importable under the installed names, and say to cosmic-ray what to do."""
    for name in COPIED:
        source, target = ROOT / name, copy / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(source, target)
    view = copy / VIEW / "sae_merge_method"
    view.mkdir(parents=True)
    for path in [*(copy / "sae_merge_method").iterdir(), *(copy / name for name in COPIED[1:4])]:
        (view / path.name).symlink_to(path)
    settings = {
        "module-path": [f"sae_merge_method/{module}" for module in modules],
        "timeout": 10.0 * SECONDS,
        "excluded-modules": [],
        "test-command": f"{sys.executable} -S {Path(__file__)} ask",
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
    return {**os.environ, "PYTHONPATH": str(copy / VIEW), "OMP_NUM_THREADS": "1"}


def results(copy: Path) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Mutant and result of each that was run."""
    dump = [str(Path(sys.executable).with_name("cosmic-ray")), "dump", "mutants.sqlite"]
    done = subprocess.run(dump, cwd=copy, env=environment(copy), check=True, capture_output=True, text=True)
    for line in done.stdout.splitlines():
        item, result = json.loads(line)
        if result is not None and result["worker_outcome"] != "skipped":
            yield item, result


def run(processes: int, modules: Sequence[str]) -> int:
    """The whole run; 0 where nine mutants of ten are noticed."""
    shutil.rmtree(COPIES, ignore_errors=True)
    copies = [COPIES / str(number) for number in range(processes)]
    shares = [modules[number::processes] for number in range(processes)]
    for copy, share in zip(copies, shares, strict=True):
        prepare(copy, share)
    servers = [start(copy, share) for copy, share in zip(copies, shares, strict=True)]
    try:
        for copy, server in zip(copies, servers, strict=True):
            while not (copy / DOOR).exists() and server.poll() is None:
                time.sleep(0.1)
        script = " && ".join(" ".join(words) for words in commands())
        running = [subprocess.Popen(script, shell=True, cwd=copy, env=environment(copy)) for copy in copies]
        failed = [one.args for one in running if one.wait()]
    finally:
        for server in servers:
            server.kill()
    if failed:
        print("cosmic-ray failed: see above, and what the tests printed in", *(copy / LOG for copy in copies))
        return 1
    found = [one for copy in copies for one in results(copy)]
    alive = [(item, result) for item, result in found if result["test_outcome"] == "survived"]
    for _, result in alive:
        print(result["diff"])
    noticed = len(found) - len(alive)
    print(f"{noticed} of {len(found)} mutants noticed: {noticed / max(len(found), 1):.1%}")
    return int(noticed < 0.9 * len(found))


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["serve", *modules]:
            serve(modules)
        case ["ask"]:
            sys.exit(ask())
        case ["run", processes, *modules]:
            sys.exit(run(int(processes), modules or PURE))
