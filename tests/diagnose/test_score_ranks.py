"""How scores rank: with depth, and with the same score for another target."""

from pathlib import Path

import pytest

from sae_merge_method.artifacts.diagnosis import read_diagnosis
from sae_merge_method.artifacts.fingerprint import Fingerprint
from sae_merge_method.cli import select
from sae_merge_method.diagnose.score_ranks import (
    Scored,
    blindness,
    depth_sentence,
    of_diagnosis,
    ranks_grid,
    score_ranks,
)
from sae_merge_method.errors import UsageError
from sae_merge_method.reports.grid import as_text
from sae_merge_method.statistics.curves import curve_correlation
from tests.diagnose.command import run

ARCH = (0.1, 0.5, 0.9, 0.8, 0.4, 0.2)
RISE = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)


@pytest.fixture
def base(planted: Path) -> Fingerprint:
    return read_diagnosis(planted).model.fingerprint


def scored(base: Fingerprint, target: str, **scores: tuple[float, ...]) -> Scored:
    by_layer = {name: dict(enumerate(values)) for name, values in scores.items()}
    return Scored(target, f"sha256 of {target}", base, by_layer)


def test_a_score_that_rises_ranks_with_depth_and_an_arch_does_not(base):
    rising, arched = score_ranks(scored(base, "maths", one=RISE, two=ARCH))
    assert rising.depth.rho == pytest.approx(1)
    assert abs(arched.depth.rho) < 0.3
    assert rising.depth == curve_correlation(RISE, range(6))


def test_a_score_that_ranks_the_same_for_another_target_is_said_to_be_blind_and_the_other_is_not(base):
    ranks = score_ranks(
        scored(base, "maths", blind=ARCH, sees=ARCH), scored(base, "spelling", blind=ARCH, sees=RISE[::-1])
    )
    assert [one.score for one in ranks if one.other.rho > 0.99] == ["blind"]
    (line,) = blindness(ranks, "maths", "spelling")
    assert line.startswith("blind ranks the layers for maths as for spelling (rank correlation +1.00)")
    assert "with spelling" in as_text(ranks_grid(ranks, "spelling"))


def test_only_layers_and_scores_that_both_have_are_compared(base):
    other = scored(base, "spelling", one=ARCH[:2])
    assert score_ranks(scored(base, "maths", one=ARCH, two=ARCH), other)[0].other is None
    assert score_ranks(scored(base, "maths", one=ARCH, two=ARCH), other)[1].other is None


def test_another_model_the_same_target_and_no_common_score_are_refused(base):
    maths = scored(base, "maths", one=ARCH)
    another = base.model_copy(update={"numbers": dict.fromkeys(base.numbers, "0" * 64)})
    for other, words in (
        (scored(another, "spelling", one=ARCH), "another model's layers"),
        (scored(base, "maths", one=ARCH), "expected another target than maths"),
        (scored(base, "spelling", two=ARCH), "expected one of the scores one for spelling too, got two"),
    ):
        with pytest.raises(UsageError, match=words):
            score_ranks(maths, other)


def test_every_formula_of_a_diagnosis_has_its_row_and_the_page_says_how_its_own_ranks(planted):
    diagnosis = read_diagnosis(planted)
    printed = run(select.command, planted, "--rule", "top_k=2").output
    for name in of_diagnosis(diagnosis).scores:
        assert f"\n{name}" in printed
    assert "with depth" in printed
    assert depth_sentence(diagnosis) in (planted / "diagnosis.html").read_text().replace("&#x27;", "'")
