"""The verdict as a file: what it refuses, and how one and several are read alike."""

import pytest
from pydantic import ValidationError

from sae_merge_method.artifacts.comparison import Comparison, ComparisonSet, read_comparison
from sae_merge_method.errors import ArtifactError
from tests.comparisons import comparison, save_comparison, subject


def test_a_comparison_is_read_from_its_file_or_its_folder(tmp_path) -> None:
    made = comparison()
    path = save_comparison(tmp_path / "comparison.json", made)
    assert read_comparison(path) == read_comparison(tmp_path) == made


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("test", "t_test"),
        ("correction", "bonferroni"),
        ("alpha", 1),
        ("schema_version", 1),
        ("counts", {"better": 1}),
    ],
)
def test_a_name_that_no_table_has_is_refused(field: str, value: object) -> None:
    with pytest.raises(ValidationError):
        Comparison.model_validate({**comparison().model_dump(), field: value})


def test_a_version_before_is_refused_with_its_name(tmp_path) -> None:
    path = save_comparison(tmp_path / "c.json")
    path.write_text(path.read_text().replace('"schema_version": 4', '"schema_version": 1'))
    with pytest.raises(ArtifactError, match="schema_version"):
        read_comparison(path)


def test_one_and_several_are_read_alike() -> None:
    one = comparison()
    assert one.comparisons == (one,)
    assert ComparisonSet(comparisons=(one, one)).comparisons == (one, one)


def test_a_verdict_stands_after_correction_only() -> None:
    stands = subject("one", 0.2, 0.5, "improved", 0.001, True)
    lost = subject("two", 0.2, 0.3, "improved", 0.04, False)
    assert comparison(stands, lost).standing("improved") == (stands,)
    assert comparison(stands, lost).standing("degraded") == ()
