from collections.abc import Callable
from pathlib import Path

import pytest

from sae_merge_method.artifacts.edit_report import EditReport
from sae_merge_method.models.tensor_names import decoder_layer
from tests import tiny
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


def edited_layers(out: Path, base: Path) -> set[int | None]:
    """Layers with a tensor whose bytes changed; None among them for what lies in no layer."""
    before, after = tiny.load_tensors(base), tiny.load_tensors(out)
    assert before.keys() == after.keys()
    return {decoder_layer(name) for name in before if not tiny.same_bytes(before[name], after[name])}
