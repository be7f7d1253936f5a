"""The forest plot."""

from pathlib import Path

import pytest

from sae_merge_method.compare.forest import write_forest
from sae_merge_method.compare.run import compare
from sae_merge_method.errors import UsageError
from tests.comparisons import comparison, subject
from tests.evaluations import BARELY, BASE, MIXED, Write, grouped

pytestmark = pytest.mark.usefixtures("whole_pictures")


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


def test_what_was_not_tested_is_drawn_as_words_and_never_as_a_point(tmp_path: Path) -> None:
    tested = subject("one", 0.2, 0.5, "improved", 0.01, True, interval=(0.1, 0.5))
    untested = subject("two", 0.2, 0.5, "not tested", 1.0, False)
    write_forest(tmp_path / "plot.svg", comparison(tested, untested))
    words = (tmp_path / "plot.svg").read_text()
    assert words.count("<!-- not tested -->") == 1
    assert "green improved, red degraded, grey not shown" in words
    write_forest(
        tmp_path / "all.svg", comparison(tested, tested.model_copy(update={"verdict": "equivalent"}))
    )
    assert "blue equivalent" in (tmp_path / "all.svg").read_text()
