"""What all tests share: no network, no user's caches, one thread; tiny models and merges of them."""

import gc
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zlib import crc32

import pytest

# Before any host is imported: they read these at import time.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ["WANDB_MODE"] = "disabled"
os.environ.setdefault("OMP_NUM_THREADS", "1")

from tests import pictures, warm

if TYPE_CHECKING:  # at run time where they are needed: a process that only shares tests out needs no torch
    from sae_merge_method.miniature.build import Miniature
    from sae_merge_method.miniature.settings import MiniatureSettings
    from tests.merged import Merged

# The hosts' libraries are millions of objects that never die: to look through them as often as Python does
# takes a sixth of the time that their import takes.
gc.set_threshold(100_000, 50, 100)

# Before the other conftests are loaded, whose modules take what draws by its name.
pictures.draw_small()


def pytest_configure(config: pytest.Config) -> None:
    # lm-eval gives up comparing two answers after five seconds of the clock, which are few on a busy machine.
    signal.alarm = lambda seconds: 0
    # A process that is killed, as many are here, loses nothing that the system has taken; only a power cut does.
    # So much is written that waiting for the disk takes longer than many a test: a handle is looked at, no more.
    os.fsync = os.fstat
    if not hasattr(config, "workerinput"):  # of pytest-xdist's processes the one that starts the others
        warm.begin()
    if hasattr(config, "workerinput") or not getattr(config.option, "numprocesses", None):
        from hypothesis import HealthCheck, settings

        # The same examples in every run, however long the machine takes for one, or to think of one.
        slow = [HealthCheck.too_slow]
        settings.register_profile(
            "tests", max_examples=40, deadline=None, derandomize=True, suppress_health_check=slow
        )
        settings.load_profile("tests")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(config: pytest.Config, specs: list[Any]) -> None:
    """Let pytest-xdist's processes be warm interpreters too: each would import the same libraries once more."""
    stub = warm.python(Path(os.environ[warm.FOLDER], "workers"), warm_children=False)
    for spec in specs:
        spec.python = str(stub)


def pytest_collection_finish() -> None:
    gc.freeze()  # statsmodels, for one, looks through all objects in every call


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        warm.end()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    if config.getoption("dist") == "loadfile":
        from tests.shares import InShares

        return InShares(config, log)
    return None  # as was asked for


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    from tests.shares import rank

    items.sort(key=rank)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Draw the same numbers in every run, in every order: a test that seeds nothing is never one of chance."""
    seed = crc32(item.nodeid.encode())
    random.seed(seed)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(seed)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(seed)


@pytest.fixture
def whole_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures as users get them, for tests that look at one."""
    monkeypatch.setattr(pictures, "WHOLE", True)


@pytest.fixture
def base(tmp_path: Path) -> Path:
    from tests import tiny

    return tiny.gemma3_text(tmp_path / "base", seed=0)


@pytest.fixture
def donor(tmp_path: Path) -> Path:
    from tests import tiny

    return tiny.gemma3_text(tmp_path / "donor", seed=1)


@pytest.fixture(scope="session")
def merged(tmp_path_factory: pytest.TempPathFactory) -> "Merged":
    """A text model, layers 1 and 3 edited at weight 0.5, by sae-merge; copied by who changes it."""
    from tests.merged import make_merged

    return make_merged(tmp_path_factory.mktemp("merged"))


@pytest.fixture(scope="session")
def merged_multimodal(tmp_path_factory: pytest.TempPathFactory) -> "Merged":
    """The same of a model that sees."""
    from tests.merged import make_merged

    return make_merged(tmp_path_factory.mktemp("multimodal"), multimodal=True)


@pytest.fixture(scope="session")
def by_mergekit(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Run a recipe's text through mergekit-yaml's own function, into a new folder."""
    from tests.mergekit import plain_mergekit

    def run(source: str) -> Path:
        out = tmp_path_factory.mktemp("plain") / "out"
        plain_mergekit(source, out)
        return out

    return run


@pytest.fixture(scope="session")
def warm_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter of this environment that has both hosts and all of ours loaded as it starts."""
    return warm.python(tmp_path_factory.mktemp("warm"))


@pytest.fixture
def sae_merge(warm_python: Path) -> "partial[subprocess.CompletedProcess[str]]":
    """Run the command line in a process of its own, with trouble where told: as ``processes.run``."""
    from tests.faults import processes

    return partial(processes.run, warm_python)


@pytest.fixture(scope="session")
def tiny_settings() -> "MiniatureSettings":
    from tests.miniatures import TINY

    return TINY


@pytest.fixture(scope="session")
def tiny_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's cache folder that all processes of the test run share."""
    from tests.miniatures import shared_folder

    return shared_folder(tmp_path_factory) / "cache"


@pytest.fixture(scope="session")
def tiny_miniature(tiny_cache: Path) -> "Miniature":
    """A miniature of a few thousand tokens: it has learned nothing."""
    from tests.miniatures import make_tiny

    return make_tiny(tiny_cache)
