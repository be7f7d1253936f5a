import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import warm as warm_interpreters
from tests.packaging.environment import Environment, clean_environ

Run = Callable[..., "subprocess.CompletedProcess[str]"]

ROOT = Path(__file__).parents[2]
PACKAGE_FOLDERS = ("sae_merge_method", "cli", "lm_eval_tasks", "recipes")
BUILD_FILES = (
    "pyproject.toml",
    "setup.py",
    "MANIFEST.in",
    "LICENSE",
    "sae_merge_method.pth",
    "sae_merge_method.start",
)


@dataclass(frozen=True)
class Built:
    """What the build made of the tree."""

    sdist: Path
    wheel: Path


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what the build reads, so that building leaves nothing in the tree itself."""
    copy = tmp_path_factory.mktemp("tree")
    for folder in PACKAGE_FOLDERS:
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name in (*BUILD_FILES, *(path.name for path in ROOT.glob("README.md"))):
        shutil.copy(ROOT / name, copy / name)
    return copy


@pytest.fixture(scope="session")
def built(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The sdist of the tree, and the wheel built from that sdist."""
    out = tmp_path_factory.mktemp("dist")
    build(tree, out)
    return Built(next(out.glob("*.tar.gz")), next(out.glob("*.whl")))


def build(source: Path, out: Path, *options: str) -> None:
    command = [sys.executable, "-m", "build", "--no-isolation", *options, "--outdir", str(out), str(source)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="session")
def installed(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment with the wheel installed. Tests that change it make their own."""
    environment = Environment.create(tmp_path_factory.mktemp("installed") / "env")
    environment.install(built.wheel)
    warm_interpreters.copy_lm_eval(environment.site_packages, "minerva_math")
    return environment


@pytest.fixture(scope="session")
def warm(installed: Environment, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Run the interpreter of that environment, with the libraries of both hosts loaded ahead, and neither host."""
    scratch = tmp_path_factory.mktemp("warm")
    python = warm_interpreters.python(scratch, "libraries", str(installed.python))

    def run(*arguments: str, cwd: Path, **environ: str) -> "subprocess.CompletedProcess[str]":
        environ = {"HF_DATASETS_CACHE": str(scratch / "datasets"), **environ}
        return subprocess.run(
            [str(python), *arguments], cwd=cwd, env=clean_environ() | environ, capture_output=True, text=True
        )

    return run


@pytest.fixture
def host(installed: Environment, warm: Run) -> Callable[..., str]:
    """Run a host's console script in a folder, and give what it prints."""

    def run(name: str, *arguments: str, cwd: Path) -> str:
        done = warm(str(installed.script(name)), *arguments, cwd=cwd)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run
