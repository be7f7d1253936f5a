"""One report of an experiment laid out by hand, shared by all who read it."""

from pathlib import Path

import pytest

from sae_merge_method.artifacts.experiment import Experiment, read_experiment
from sae_merge_method.experiment.report.write import report_experiment
from tests.experiment.report.folders import EVERY_KIND, lay_out


@pytest.fixture(scope="package")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An experiment's folder with its report written."""
    laid_out = lay_out(tmp_path_factory.mktemp("reports") / "experiment", EVERY_KIND)
    report_experiment(laid_out)
    return laid_out


@pytest.fixture(scope="package")
def experiment(folder: Path) -> Experiment:
    """What that report says."""
    return read_experiment(folder)
