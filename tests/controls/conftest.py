"""The models, SAEs and diagnosis that a file's recipes are controlled on."""

import pytest

from tests.geometry import scenes


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> scenes.Scene:
    return scenes.build(tmp_path_factory.mktemp("scene"))
