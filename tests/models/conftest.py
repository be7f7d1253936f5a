from pathlib import Path

import pytest

from tests.diagnose import hosts


@pytest.fixture(scope="session")
def gemma3(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random Gemma 3. Only to be read."""
    return hosts.random_gemma3(tmp_path_factory.mktemp("models") / "gemma3")
