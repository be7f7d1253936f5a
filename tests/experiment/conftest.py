"""A miniature of a few thousand tokens to experiment on, and one finished experiment for all who read one."""

import shutil

import pytest
from click.testing import CliRunner
from filelock import FileLock

from sae_merge_method.cli.experiment import command
from tests.experiment import ground
from tests.miniatures import shared_folder


@pytest.fixture(scope="session")
def shared(tmp_path_factory):
    """A folder that all processes of the test run share."""
    return shared_folder(tmp_path_factory)


@pytest.fixture(scope="session")
def field(tmp_path_factory, tiny_miniature):
    """A folder with everything an experiment reads, and nothing of one. Not to be changed."""
    return ground.lay_out(tmp_path_factory.mktemp("field"), tiny_miniature)


@pytest.fixture(scope="session")
def finished(shared, tiny_miniature, warm_python):
    """An experiment that is done, the same for all processes of the test run. Not to be changed."""
    folder = shared / "finished"
    with FileLock(shared / "finished.lock"):
        if not folder.exists():
            ground.lay_out(folder, tiny_miniature)
        return ground.finish(folder, warm_python)


@pytest.fixture
def working_in(monkeypatch):
    """Make this process work in a folder, data sets' cache included."""

    def work(folder):
        import datasets

        monkeypatch.chdir(folder)
        monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(folder / ".datasets"))
        return folder

    return work


@pytest.fixture
def fresh(tmp_path, field, working_in):
    """What an experiment reads for one test alone, as this process's working folder."""
    return working_in(shutil.copytree(field, tmp_path / "field"))


@pytest.fixture
def copied(tmp_path, finished, working_in):
    """The finished experiment for one test alone, in this process's working folder."""
    return working_in(shutil.copytree(finished.folder, tmp_path / "copied"))


@pytest.fixture
def sae_merge_experiment():
    """Call ``sae-merge experiment`` in this process; errors are in the result."""

    def call(verb, *words):
        return CliRunner().invoke(command, [verb, "experiment.yml", "--out", "exp", *words])

    return call
