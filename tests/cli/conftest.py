"""Evaluations to compare, written as lm_eval writes them."""

from tests.evaluations import write, write_scores

__all__ = ["write", "write_scores"]
