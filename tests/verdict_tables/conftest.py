"""Evaluations to compare, written as lm_eval writes them."""

from tests.evaluations import write

__all__ = ["write"]
