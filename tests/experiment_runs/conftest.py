"""A miniature of a few thousand tokens laid out to experiment on, shared with the demo's tests."""

import shutil

import pytest

from tests.experiment_runs import ground
from tests.miniature.conftest import tiny_cache, tiny_miniature  # noqa: F401


@pytest.fixture(scope="module")
def field(tmp_path_factory, tiny_miniature):  # noqa: F811
    """A folder with everything an experiment reads, and nothing of one."""
    return ground.lay_out(tmp_path_factory.mktemp("field"), tiny_miniature)


@pytest.fixture
def fresh(tmp_path, field):
    """The same for one test alone."""
    return shutil.copytree(field, tmp_path / "field", ignore=shutil.ignore_patterns("exp*"))
