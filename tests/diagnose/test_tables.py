"""A diagnosis as the tables that commands print and notebooks show."""

from pathlib import Path

from sae_merge_method.artifacts.diagnosis import read_diagnosis
from sae_merge_method.diagnose.tables import features_grid, layers_grid
from sae_merge_method.reports.grid import as_text
from tests import tiny
from tests.diagnoses import save_diagnosis


def test_a_row_is_a_layer_with_the_numbers_of_the_artifact_rounded_for_reading(planted: Path) -> None:
    diagnosis = read_diagnosis(planted)
    header, *rows = as_text(layers_grid(diagnosis, selected=(1, 3))).splitlines()
    assert header.split() == [
        "layer",
        "score",
        "corrected",
        "p",
        "q",
        "estimate",
        "interval",
        "explained",
        "L0",
        "outliers",
    ]
    assert [row.split()[0] for row in rows] == ["0", "*1", "2", "*3"]
    entry = diagnosis.layers[0]
    assert entry.null is not None
    assert entry.interval is not None
    low, high = f"{entry.interval.low:.4f}", f"{entry.interval.high:.4f}"
    numbers = [f"{entry.score:.4f}", f"{entry.null.corrected:+.4f}", f"{entry.null.p:.4f}"]
    assert rows[0].split()[1:4] == numbers
    assert rows[0].split()[5:] == [
        f"{entry.interval.estimate:.4f}",
        low,
        "to",
        high,
        f"{entry.explained_variance:.3f}",
        f"{entry.l0:.1f}",
        "0",
    ]


def test_without_draws_nothing_stands_where_p_and_interval_would(tmp_path: Path) -> None:
    model = tiny.gemma3_text(tmp_path / "model", 0)
    diagnosis = read_diagnosis(save_diagnosis(tmp_path / "diagnosis", model, {2: 0.5}))
    assert as_text(layers_grid(diagnosis)).splitlines()[1].split() == [
        "2",
        "0.5000",
        *"-----",
        "0.900",
        "8.0",
        "-",
    ]


def test_snippets_stand_in_a_features_row_with_nothing_unescaped(planted: Path) -> None:
    entry = read_diagnosis(planted).layers[0]
    feature = entry.top_features[0].model_copy(update={"snippets": ("a <b> «c»", "«d»")})
    (row,) = features_grid(entry.model_copy(update={"top_features": (feature,)})).rows
    assert row[-1].text == "a <b> «c» | «d»"
    assert row[-1].html == "a &lt;b&gt; <mark>c</mark><br><mark>d</mark>"


def test_a_notebook_shows_the_table_that_the_command_prints(planted: Path) -> None:
    diagnosis = read_diagnosis(planted)
    assert as_text(layers_grid(diagnosis)) in str(diagnosis)
    assert "4 of 4 layers diagnosed" in str(diagnosis)
    assert "(bits)" in str(diagnosis)
