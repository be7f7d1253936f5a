"""A base and a donor, made once: recipes only read them."""

from pathlib import Path
from typing import NamedTuple

import pytest

from tests import tiny


class Models(NamedTuple):
    """Two checkpoints of one kind."""

    base: Path
    donor: Path


@pytest.fixture(scope="session")
def models(tmp_path_factory) -> Models:
    folder = tmp_path_factory.mktemp("models")
    return Models(tiny.gemma3_text(folder / "base", 0), tiny.gemma3_text(folder / "donor", 1))
