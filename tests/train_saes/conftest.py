"""A tiny model and two tiny corpora, built once for all tests of the SAE trainer."""

from pathlib import Path

import pytest

from tests.diagnose import hosts


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("train_saes")


@pytest.fixture(scope="session")
def gemma3(place: Path) -> Path:
    return hosts.random_gemma3(place / "gemma3")


@pytest.fixture(scope="session")
def maths(place: Path) -> Path:
    return hosts.write_jsonl(place / "maths.jsonl", hosts.sentences(hosts.MATHS, 40, seed=0))


@pytest.fixture(scope="session")
def prose(place: Path) -> Path:
    return hosts.write_jsonl(place / "prose.jsonl", hosts.sentences(hosts.PROSE, 40, seed=1))
