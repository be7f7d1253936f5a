"""A tiny model, two tiny corpora and SAEs trained on them, made once for all tests of the SAE trainer."""

from collections.abc import Callable
from pathlib import Path

import pytest

from sae_merge_method.train_saes.run import train_saes
from sae_merge_method.train_saes.settings import TrainSaesSettings
from tests.diagnose.conftest import gemma3, maths, prose

__all__ = ["gemma3", "maths", "prose"]

STEPS, STEP, BLOCK = 12, 32, 128
Settings = Callable[..., TrainSaesSettings]


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("train_saes")


@pytest.fixture(scope="session")
def settings(gemma3: Path, maths: Path, prose: Path) -> Settings:
    def make(**changes: object) -> TrainSaesSettings:
        values: dict[str, object] = {
            "model": gemma3, "text": (f"{maths}:2", prose), "layers": "0, 2", "width": "2x", "k": 4,
            "tokens": str(STEPS * STEP), "step_tokens": STEP, "buffer_tokens": BLOCK, "held_out": 60,
            "loss_tokens": 60, "save_every": 0, "dtype": "float32",
        }  # fmt: skip
        return TrainSaesSettings(**(values | changes))

    return make


@pytest.fixture(scope="session")
def whole(settings: Settings, place: Path) -> Path:
    """SAEs of two layers, trained without a break. Only to be read."""
    train_saes(settings(), place / "whole")
    return place / "whole"


def content(folder: Path) -> dict[str, bytes]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
