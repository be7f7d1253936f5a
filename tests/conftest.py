"""What all tests share: no network, no user's caches, one thread; a tiny base and a donor."""

import os
from pathlib import Path

import pytest

# Before any host is imported: they read these at import time.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ["WANDB_MODE"] = "disabled"
os.environ.setdefault("OMP_NUM_THREADS", "1")

from tests import tiny


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return tiny.gemma3_text(tmp_path / "base", seed=0)


@pytest.fixture
def donor(tmp_path: Path) -> Path:
    return tiny.gemma3_text(tmp_path / "donor", seed=1)
