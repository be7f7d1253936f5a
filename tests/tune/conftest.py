"""One planted truth and one search of it, shared by all who look at them."""

from pathlib import Path

import pytest

from sae_merge_method.artifacts.tune import Tune
from sae_merge_method.tune.run import tune
from sae_merge_method.tune.settings import TuneSettings
from tests.tune.planted import Planted, plant


@pytest.fixture(scope="package")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    return plant(tmp_path_factory.mktemp("planted"))


@pytest.fixture(scope="package")
def out(planted: Planted) -> Path:
    """The folder of a finished search."""
    folder = planted.folder / "tuned"
    tune(TuneSettings.model_validate(planted.settings), folder)
    return folder


@pytest.fixture(scope="package")
def tuned(out: Path) -> Tune:
    from sae_merge_method.artifacts.tune import read_tune

    return read_tune(out)
