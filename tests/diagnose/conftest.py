"""Hosts built once for all tests of the stethoscope."""

from pathlib import Path

import pytest

from tests.diagnose import hosts
from tests.diagnose.command import diagnose

PLANTED = (4, 32, 0, 12)
"""Target-only features of each layer's SAE: the order of layers that every score must find."""


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("diagnose")


@pytest.fixture(scope="session")
def legible(place: Path) -> Path:
    return hosts.legible_gemma3(place / "legible")


@pytest.fixture(scope="session")
def gemma3(place: Path) -> Path:
    return hosts.random_gemma3(place / "gemma3")


@pytest.fixture(scope="session")
def planted_saes(place: Path) -> str:
    return hosts.save_planted(place / "planted", PLANTED)


@pytest.fixture(scope="session")
def random_saes(place: Path) -> str:
    for layer in range(hosts.N_LAYERS):
        hosts.save_raw(place / f"random/layer_{layer}", layer)
    return str(place / "random/layer_{layer}")


@pytest.fixture(scope="session")
def maths(place: Path) -> Path:
    return hosts.write_jsonl(place / "maths.jsonl", hosts.sentences(hosts.MATHS, 40, seed=0))


@pytest.fixture(scope="session")
def prose(place: Path) -> Path:
    return hosts.write_jsonl(place / "prose.jsonl", hosts.sentences(hosts.PROSE, 40, seed=1))


@pytest.fixture(scope="session")
def more_maths(place: Path) -> Path:
    return hosts.write_jsonl(place / "more_maths.jsonl", hosts.sentences(hosts.MATHS, 40, seed=2))


@pytest.fixture(scope="session")
def planted(place: Path, legible: Path, planted_saes: str, maths: Path, prose: Path) -> Path:
    """A diagnosis of the model and SAEs with planted layers. Only to be read."""
    diagnose(place / "diagnosis", legible, planted_saes, maths, prose)
    return place / "diagnosis"
