"""What is stored of each arm stands in the report, and arms that rounding swallows are named."""

from sae_merge_method.artifacts.experiment import Experiment
from sae_merge_method.artifacts.realised import Realised
from sae_merge_method.experiment.report.stored import stored_grid, stored_words, swallowed_arms
from sae_merge_method.experiment.report.words import notes
from sae_merge_method.geometry.realised import EditSums

WHOLE = EditSums(intended=2.0, realised=2.0, along=2.0, changed=90, values=100)
SWALLOWED = EditSums(intended=2.0, realised=0.66, along=0.6, changed=19, values=100)
NOISY = EditSums(intended=2.0, realised=5.0, along=2.0, changed=30, values=100)


def stored(experiment: Experiment, rounding: str, **arms: EditSums) -> Experiment:
    """The experiment with what is stored of some of its arms."""
    changed = [
        arm.model_copy(
            update={"realised": Realised(**Realised.figures(arms[arm.name])), "rounding": rounding}
            if arm.name in arms
            else {}
        )
        for arm in experiment.arms
    ]
    return experiment.model_copy(update={"arms": tuple(changed)})


def test_merged_arms_have_a_row_and_models_as_they_are_have_none(experiment):
    assert stored_grid(experiment) is None
    grid = stored_grid(stored(experiment, "nearest", stethoscope=WHOLE, scalpel=SWALLOWED))
    assert grid is not None
    assert [[cell.text for cell in row] for row in grid.rows] == [
        ["stethoscope", "nearest", "2", "2", "100.00%", "1.000", "1.000", "90.00%", "-"],
        ["scalpel", "nearest", "2", "0.66", "33.00%", "0.300", "0.522", "19.00%", "-"],
    ]
    assert grid.marked == {0}


def test_arms_that_rounding_swallows_are_named_with_the_ways_out(experiment):
    fine = stored(experiment, "nearest", stethoscope=WHOLE)
    assert swallowed_arms(fine) == []
    (line,) = swallowed_arms(stored(experiment, "nearest", scalpel=SWALLOWED, **{"all-layers": SWALLOWED}))
    assert line.startswith(
        "Of all-layers, rounding to the stored dtype (nearest) leaves of the edit 33% of its"
    )
    assert "'rounding: stochastic' keeps it on average" in line and line.endswith("Likewise scalpel.")
    assert line in notes(stored(experiment, "nearest", scalpel=SWALLOWED, **{"all-layers": SWALLOWED}))


def test_noise_of_stochastic_rounding_is_no_swallowing_and_is_said(experiment):
    noisy = stored(experiment, "stochastic", stethoscope=NOISY)
    assert swallowed_arms(noisy) == []
    assert stored_words(noisy).endswith(
        "Under stochastic rounding stored and kept hold its noise, along does not: there energies are equal in "
        "what was to be added (intended)."
    )
    assert "noise" not in stored_words(stored(experiment, "nearest", stethoscope=WHOLE))
