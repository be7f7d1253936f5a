"""Evaluations to compare, written as lm_eval writes them, and a comparison of two folders."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sae_merge_method.artifacts.comparison import Comparison
from sae_merge_method.compare.run import compare
from sae_merge_method.compare.settings import CompareSettings
from tests.evaluations import write, write_scores

__all__ = ["compared", "logged", "write", "write_scores"]

BEFORE = [1] * 20 + [0] * 40
AFTER = [0] * 2 + [1] * 30 + [0] * 28


def compared(base: Path, edited: Path, **settings: Any) -> Comparison:
    comparison = compare(base, edited, settings=CompareSettings(**settings))
    assert isinstance(comparison, Comparison)
    return comparison


@pytest.fixture
def logged(write_scores: Callable[..., Path]) -> tuple[Path, Path]:
    """Sixty problems answered before and after, 12 newly right and 2 newly wrong."""
    return write_scores("base", BEFORE), write_scores("edited", AFTER)
