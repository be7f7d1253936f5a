"""Tests, intervals and corrections: numbers in, named results out."""
