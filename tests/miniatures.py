"""A miniature for tests: made in seconds, once for all processes of a test run."""

import os
from pathlib import Path

import pytest
from filelock import FileLock

from sae_merge_method.miniature.build import Miniature, build
from sae_merge_method.miniature.settings import MiniatureSettings

TINY = MiniatureSettings(
    problems_per_subject=2,
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


def shared_folder(factory: pytest.TempPathFactory) -> Path:
    """A folder that all processes of the test run share."""
    root = factory.getbasetemp()
    return root.parent if "PYTEST_XDIST_WORKER" in os.environ else root


def make_tiny(cache: Path) -> Miniature:
    """A whole tiny miniature, made in this process; what is in the cache is found again."""
    cache.mkdir(exist_ok=True)
    with FileLock(cache / "lock"):
        return build(TINY, cache / "sae-merge" / "miniature", processes=1)
