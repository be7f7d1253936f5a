"""A base and two donors near it, for tests of a model that is edited in memory."""

import pytest

from tests.in_memory.models import llama, near


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    llama(folder / "base")
    near(folder / "base", folder / "donor")
    near(folder / "base", folder / "other", seed=2)
    return folder
