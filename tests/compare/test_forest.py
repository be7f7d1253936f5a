"""The forest plot."""

from pathlib import Path

import pytest

from sae_merge_method.compare.forest import difference_interval, write_forest
from sae_merge_method.compare.run import compare
from sae_merge_method.errors import UsageError
from tests.comparisons import comparison, subject
from tests.evaluations import BARELY, BASE, MIXED, Write, grouped


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_the_forest_plot_is_drawn_the_same_twice(write: Write, tmp_path: Path, suffix: str) -> None:
    paths = [write("base", grouped(BASE))]
    paths += [write(name, grouped(tasks)) for name, tasks in (("a", MIXED), ("b", BARELY))]
    drawn = []
    for nth in range(2):
        write_forest(tmp_path / f"{nth}{suffix}", compare(*paths))
        drawn.append((tmp_path / f"{nth}{suffix}").read_bytes())
    assert drawn[0] == drawn[1]
    assert drawn[0].startswith(b"\x89PNG" if suffix == ".png" else b"<?xml")


def test_a_plot_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"\.png or \.svg"):
        write_forest(tmp_path / "plot.pdf", comparison())
    assert list(tmp_path.iterdir()) == []


def test_the_interval_is_the_default_tests(tmp_path: Path) -> None:
    row = subject("one", 0.2, 0.5, "improved", 0.01, True, base_stderr=0.03, edited_stderr=0.04)
    assert difference_interval(row, 0.05) == pytest.approx((0.3 - 1.959964 * 0.05, 0.3 + 1.959964 * 0.05))
    assert difference_interval(row.model_copy(update={"base_stderr": None}), 0.05) is None
