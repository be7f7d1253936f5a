"""One ground for all tests here, and one run on it: what is planted is made once."""

import pytest

from sae_merge_method.artifacts.attribution import Attribution
from sae_merge_method.attribute.run import attribute
from sae_merge_method.attribute.settings import AttributeSettings
from tests.attribute.planted import DAMAGE, GAIN, N_LAYERS, Ground, make_ground


@pytest.fixture(scope="session")
def ground(tmp_path_factory) -> Ground:
    return make_ground(tmp_path_factory.mktemp("ground"))


@pytest.fixture(scope="session")
def planted(ground) -> str:
    """A donor that gains in one layer, does damage in another, and has noise in the others."""
    others = [layer for layer in range(N_LAYERS) if layer not in (GAIN, DAMAGE)]
    return ground.donor("planted", ground.able, ground.harmful, ground.noise(others, 0.15))


def settings(ground: Ground, donor: str, **given: object) -> AttributeSettings:
    few = {"groups": 2, "device": "cpu"} | given
    return AttributeSettings(
        base=ground.base, donor=donor, target=ground.target, control=ground.control, **few
    )


@pytest.fixture(scope="session")
def attributed(ground, planted) -> Attribution:
    return attribute(settings(ground, planted, probe=True), ground.folder / "attribution")
