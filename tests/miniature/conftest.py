"""The miniature's texts, made once."""

import pytest

from sae_merge_method.miniature.settings import MiniatureSettings
from sae_merge_method.miniature.texts import make_texts


@pytest.fixture(scope="session")
def texts(tmp_path_factory):
    """The texts of the miniature as it ships."""
    folder = tmp_path_factory.mktemp("texts")
    make_texts(MiniatureSettings(), folder)
    return folder
