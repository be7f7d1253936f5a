"""``benchmarks/calibration.py``: every row can be counted, and what lies outside its bound is said."""

import importlib
from pathlib import Path
from types import ModuleType

import pytest

from sae_merge_method.reports.grid import as_text

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def calibration(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("calibration")


def test_every_rate_can_be_counted_in_one_world(calibration: ModuleType) -> None:
    counted = {name: rate.hits(1e-9) for name, rate in calibration.RATES.items()}
    assert {name for name, hits in counted.items() if hits not in ((0, 1), (1, 1))} == set()


@pytest.mark.parametrize(("hits", "word"), [(60, "yes"), (120, "NO"), (0, "yes")])
def test_a_rate_is_outside_where_its_whole_interval_is(calibration: ModuleType, hits: int, word: str) -> None:
    rate = next(rate for rate in calibration.RATES.values() if str(rate.bound) == "at most 0.05")
    grid, all_within = calibration.table([(rate, calibration.Hits(hits, 1000))])
    assert all_within == (word == "yes")
    last = as_text(grid).splitlines()[-1]
    assert last.endswith(word) and f"{hits / 1000:.3f}" in last
