"""What a finished diagnosis warns of."""

from pathlib import Path

import pytest

from sae_merge_method.artifacts.diagnosis import Diagnosis, read_diagnosis
from sae_merge_method.artifacts.left_out import FrequentToken, LeftOut
from sae_merge_method.diagnose.remarks import warn
from tests import tiny
from tests.diagnoses import save_diagnosis


@pytest.fixture
def fine(tmp_path: Path) -> Diagnosis:
    """Two layers whose SAEs explain .9 of the median token."""
    model = tiny.gemma3_text(tmp_path / "model", 0)
    return read_diagnosis(save_diagnosis(tmp_path / "diagnosis", model, {1: 0.5, 2: 0.4}))


def having(diagnosis: Diagnosis, shares: tuple[float, ...], *, bound: float | str = 5.0) -> Diagnosis:
    """The same with outliers in its second layer: '.' eleven times, and 'The' at three first positions."""
    tokens = (FrequentToken(text=".", count=11), FrequentToken(text="The", count=3, first=3))
    left_out = LeftOut(
        median_norm=3.0,
        first_norm=150.0,
        outliers=11,
        shares=shares,
        first=3,
        share_first=3 / 14,
        tokens=tokens,
    )
    layer = diagnosis.layers[1].model_copy(update={"left_out": left_out, "explained_with_outliers": -1.13})
    settings = {**diagnosis.settings, "outlier_norm": bound}
    return diagnosis.model_copy(update={"layers": (diagnosis.layers[0], layer), "settings": settings})


def test_a_diagnosis_with_nothing_wrong_is_not_warned_of(
    fine: Diagnosis, caplog: pytest.LogCaptureFixture
) -> None:
    warn(fine)
    assert not caplog.text
    assert fine.outliers() is None


def test_where_outliers_are_the_cause_they_are_named_and_the_saes_are_not_blamed(
    fine: Diagnosis, caplog: pytest.LogCaptureFixture
) -> None:
    warn(having(fine, (0.01, 0.02)))
    (record,) = caplog.records
    assert record.getMessage() == (
        "in layer 2 SAEs explain little of outlier tokens such as '.' (11), and much of all others: over all tokens "
        "together layer 2 would come to -1.13, of the median token it explains 0.90"
    )


def test_an_sae_that_does_not_fit_is_blamed_whatever_outliers_there_are(
    fine: Diagnosis, caplog: pytest.LogCaptureFixture
) -> None:
    found = having(fine, (0.01, 0.02))
    poor = found.layers[1].model_copy(update={"explained_variance": 0.2})
    warn(found.model_copy(update={"layers": (found.layers[0], poor)}))
    (record,) = caplog.records
    assert "SAEs explain less than 50 %" in record.getMessage()
    assert "(layer 2: 0.20)" in record.getMessage()


def test_sides_that_lose_other_shares_are_warned_of_and_so_are_outliers_that_count(
    fine: Diagnosis, caplog: pytest.LogCaptureFixture
) -> None:
    warn(having(fine, (0.01, 0.2)))
    assert "in layer 2 one side has more outliers than another, by over 10 % of its tokens" in caplog.text
    caplog.clear()
    counted = having(fine, (0.01, 0.2), bound="none")
    warn(counted)
    assert "outlier tokens such as '.' (11) count in layer 2" in caplog.text
    assert "one side has more" not in caplog.text
    sentence = counted.outliers()
    assert sentence == (
        "Outliers: in 1 of 2 layers (2) up to 20.0% of a side's tokens have far more than the median norm and count "
        "all the same, most often '.' (11)."
    )


def test_first_positions_are_not_named_among_outliers(fine: Diagnosis) -> None:
    sentence = having(fine, (0.01, 0.02)).outliers()
    assert sentence is not None
    assert "more than 5 times the median norm and do not count there, most often '.' (11)." in sentence
    assert "The" not in sentence
