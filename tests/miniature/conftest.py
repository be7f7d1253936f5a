"""The miniature's texts, made once, and one whole miniature of a few thousand tokens."""

import os

import pytest
from filelock import FileLock

from sae_merge_method.miniature.settings import MiniatureSettings
from sae_merge_method.miniature.texts import make_texts

TINY = MiniatureSettings(
    problems_per_subject=3,
    vocabulary=400,
    tokenizer_documents=400,
    diagnosis_documents=20,
    n_layers=4,
    d_mlp=64,
    base_tokens=6000,
    donor_tokens=4000,
    sae_tokens=4096,
    sae_width=96,
    sae_k=4,
    sae_batch=256,
)
"""A miniature that learns nothing but is made in seconds: for laws, never for gains."""


@pytest.fixture(scope="session")
def texts(tmp_path_factory):
    """The texts of the miniature as it ships."""
    folder = tmp_path_factory.mktemp("texts")
    make_texts(MiniatureSettings(), folder)
    return folder


@pytest.fixture(scope="session")
def tiny_settings():
    return TINY


@pytest.fixture(scope="session")
def tiny_cache(tmp_path_factory):
    """A cache folder that all processes of the test run share; what is made in it once is found again."""
    root = tmp_path_factory.getbasetemp()
    return (root.parent if "PYTEST_XDIST_WORKER" in os.environ else root) / "cache"


@pytest.fixture(scope="session")
def tiny_miniature(tiny_cache):
    """A whole tiny miniature, as build() makes it for the demo."""
    from sae_merge_method.miniature.build import build

    tiny_cache.mkdir(exist_ok=True)
    with FileLock(tiny_cache / "lock"):
        return build(TINY, tiny_cache / "sae-merge" / "miniature")
