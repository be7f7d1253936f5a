"""One planted truth and one search of it, shared by all who look at them."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from sae_merge_method.artifacts.tune import Tune
from sae_merge_method.cli.tune import command
from tests.tune.planted import Planted, plant


@pytest.fixture(scope="package")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    return plant(tmp_path_factory.mktemp("planted"))


@pytest.fixture(scope="package")
def printed(planted: Planted) -> Result:
    """What the command prints of a search; its folder is ``tuned``."""
    file = planted.folder / "tune.yml"
    file.write_text(json.dumps(planted.settings))
    words = [str(file), "--out", str(planted.folder / "tuned")]
    return CliRunner().invoke(command, words, catch_exceptions=False)


@pytest.fixture(scope="package")
def out(printed: Result, planted: Planted) -> Path:
    """The folder of that search. Not to be changed."""
    assert printed.exit_code == 0, printed.output
    return planted.folder / "tuned"


@pytest.fixture(scope="package")
def brief(planted: Planted) -> Path:
    """The folder of a brief search. Not to be changed."""
    from sae_merge_method.tune.run import tune
    from sae_merge_method.tune.settings import TuneSettings

    tune(TuneSettings.model_validate(planted.brief), planted.folder / "brief")
    return planted.folder / "brief"


@pytest.fixture(scope="package")
def tuned(out: Path) -> Tune:
    from sae_merge_method.artifacts.tune import read_tune

    return read_tune(out)
