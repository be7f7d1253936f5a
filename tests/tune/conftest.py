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
    return _search(planted.settings, planted.folder / "tuned")


@pytest.fixture(scope="package")
def out(printed: Result, planted: Planted) -> Path:
    """The folder of that search. Not to be changed."""
    assert printed.exit_code == 0, printed.output
    return planted.folder / "tuned"


@pytest.fixture(scope="package")
def briefly_printed(planted: Planted) -> Result:
    """What the command prints of a brief search; its folder is ``brief``."""
    return _search(planted.brief, planted.folder / "brief")


@pytest.fixture(scope="package")
def brief(briefly_printed: Result, planted: Planted) -> Path:
    """The folder of that search. Not to be changed."""
    assert briefly_printed.exit_code == 0, briefly_printed.output
    return planted.folder / "brief"


@pytest.fixture(scope="package")
def tuned(out: Path) -> Tune:
    from sae_merge_method.artifacts.tune import read_tune

    return read_tune(out)


def _search(settings: dict[str, object], out: Path) -> Result:
    file = out.with_suffix(".yml")
    file.write_text(json.dumps(settings))
    return CliRunner().invoke(command, [str(file), "--out", str(out)], catch_exceptions=False)
