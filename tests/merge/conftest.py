from collections.abc import Callable
from pathlib import Path

import pytest

from sae_merge_method.artifacts.edit_report import EditReport
from tests.geometry import scenes
from tests.geometry.scenes import Scene
from tests.recipes import run_recipe


@pytest.fixture(scope="session")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return scenes.build(tmp_path_factory.mktemp("scene"))


@pytest.fixture(params=["direct", "mergekit"])
def merge(tmp_path: Path, request: pytest.FixtureRequest) -> Callable[..., EditReport]:
    """Run a recipe's text into ``tmp_path/out``, once by each engine."""

    def run(source: str, out: str = "out", **options: object) -> EditReport:
        return run_recipe(source, tmp_path / out, engine=request.param, options=options)

    return run
