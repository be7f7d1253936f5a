"""Artifacts as data frames: a row a thing, a column a field, numbers unrounded."""

import sys

import pytest

from sae_merge_method.artifacts.comparison import ComparisonSet, Side
from sae_merge_method.artifacts.diagnosis import read_diagnosis
from sae_merge_method.artifacts.frames import as_frame
from sae_merge_method.artifacts.schema import Record
from sae_merge_method.artifacts.subject import PairedResult
from sae_merge_method.errors import UsageError
from tests import tiny
from tests.comparisons import NOTHING, comparison, subject
from tests.diagnoses import save_diagnosis


class Inner(Record):
    """Part of a row."""

    p: float
    """A number."""


class Row(Record):
    """A row."""

    name: str
    """A word."""
    span: tuple[float, float]
    """Two numbers in one cell."""
    null: Inner | None
    """Columns of their own."""
    rows: tuple[Inner, ...] = ()
    """Rows of rows: no column."""
    best: tuple[Inner, ...] | None = None
    """Likewise."""


def test_a_record_inside_a_record_becomes_columns_and_a_list_of_records_none():
    frame = as_frame(Row, [Row(name="a", span=(0, 1), null=Inner(p=1 / 3), rows=(Inner(p=1),))])
    assert list(frame.columns) == ["name", "span", "null_p"]
    assert frame.loc[0].tolist() == ["a", (0.0, 1.0), 1 / 3]


def test_the_columns_do_not_depend_on_the_rows():
    without = as_frame(Row, [Row(name="a", span=(0, 1), null=None)])
    assert list(without.columns) == list(as_frame(Row, []).columns) == ["name", "span", "null_p"]
    assert without.null_p.isna().all()


def test_what_stands_in_front_comes_first():
    frame = as_frame(Row, [Row(name="a", span=(0, 1), null=None)], [{"model": "edited"}])
    assert list(frame.columns)[:2] == ["model", "name"]
    assert frame.model.tolist() == ["edited"]


def test_a_diagnosis_has_a_row_a_layer(tmp_path):
    scores = {0: 0.25, 2: 1 / 3}
    diagnosis = read_diagnosis(save_diagnosis(tmp_path / "d", tiny.gemma3_text(tmp_path / "base", 0), scores))
    frame = diagnosis.to_frame()
    assert dict(zip(frame.layer, frame.score, strict=True)) == scores
    assert {"null_p", "null_q", "interval_low", "explained_variance", "sae_id"} <= set(frame.columns)
    assert "top_features" not in frame.columns


def test_a_comparison_has_a_row_a_subject_and_names_the_model():
    paired = PairedResult(
        n=540,
        problems=540,
        newly_right=60,
        newly_wrong=7,
        mcnemar_p=0.001,
        z=3.5,
        p=0.0005,
        low=0.01,
        high=0.2,
    )
    measures = NOTHING.model_copy(update={"no_answer": 0.5})
    one, two, both = (
        subject(name, 160 / 540, 213 / 540, "improved", 0.0007, True, paired=paired, base_measures=measures)
        for name in ("one", "two", "both")
    )
    edited = Side(label="b", model="b", results="r.json", lm_eval_version=None, result_sha256=None)
    compared = comparison(one, two, groups=(both,), edited=edited)
    frame = compared.to_frame()
    assert frame.task.tolist() == ["one", "two"]
    assert frame.model.tolist() == ["b", "b"]
    assert frame.base.tolist() == [160 / 540] * 2
    assert frame.paired_newly_right.tolist() == [60, 60]
    assert frame.base_measures_no_answer.tolist() == [0.5, 0.5]
    several = ComparisonSet(comparisons=(compared, comparison(one))).to_frame()
    assert several.model.tolist() == ["b", "b", "base"]


def test_without_pandas_the_error_names_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UsageError, match="pip install pandas"):
        as_frame(Row, [])
