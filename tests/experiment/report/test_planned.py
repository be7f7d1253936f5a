"""What a plan says before anything is run: the smallest p, what is detectable, what it costs."""

from pathlib import Path
from typing import Any

import pytest
from statsmodels.stats.power import NormalIndPower

from sae_merge_method.artifacts.experiment_plan import ExperimentPlan, read_plan
from sae_merge_method.experiment.needs import Item, Needs
from sae_merge_method.experiment.prospect import TaskAhead
from sae_merge_method.experiment.report.planned import plan_table
from sae_merge_method.experiment.report.reach import Family
from sae_merge_method.statistics.multiplicity import holm
from sae_merge_method.statistics.power import detectable, problems_needed
from tests.experiment.report.folders import BASE, MANY, PICK, Laid, ahead, lay_out, sets_of_layers

CENTRAL = "beat random layers matched with them"


def plan_of(folder: Path, *arms: Laid, **changes: Any) -> ExperimentPlan:
    lay_out(folder, [BASE, PICK, *arms], **changes)
    return read_plan(folder)


def lines_of(printed: str) -> dict[str, str]:
    """Each claim's line, unwrapped, by the claim."""
    joined = printed.replace("\n  ", " ")
    return dict(line[2:].split(": ", 1) for line in joined.splitlines() if line.startswith("- "))


def line(plan: ExperimentPlan, claim: str, **known: Any) -> str:
    return next(text for name, text in lines_of(plan_table(ahead(plan, **known))).items() if claim in name)


def test_the_central_claim_takes_five_matched_sets_and_says_what_the_rank_alone_can_do(
    tmp_path: Path,
) -> None:
    few = plan_of(tmp_path / "few", *sets_of_layers([30] * 4), n_layers=MANY)
    assert line(few, CENTRAL).startswith("4 random sets of as many runs of layers")
    enough = line(plan_of(tmp_path / "enough", *sets_of_layers([30] * 20), n_layers=MANY), CENTRAL)
    assert enough.startswith("p down to <0.0001")
    assert "t over 20 random sets" in enough and "no p below 0.0476" in enough


def test_matched_sets_ahead_are_counted_among_the_layers_that_the_donor_changes(tmp_path: Path) -> None:
    sets = [Laid(f"random-layers-{nth}", (30, 10), (2 * nth + 4, 2 * nth + 6)) for nth in range(5)]
    scattered = Laid("random-layers-5", (30, 10), (2, 8))
    plan = plan_of(tmp_path, *sets, scattered, layers=(2, 4), n_layers=MANY, among=tuple(range(0, MANY, 2)))
    told = line(plan, CENTRAL)
    assert "t over 5 random sets of as many runs among the layers that the donor changes at about" in told


def test_single_layers_say_how_small_a_p_their_number_allows(tmp_path: Path) -> None:
    def predicts(layers: int) -> str:
        arms = [Laid(f"layer-{layer}", (30, 10), (layer,)) for layer in range(layers)]
        scores = {layer: float(layer) for layer in range(layers)}
        return line(plan_of(tmp_path / str(layers), *arms, scores=scores, n_layers=layers), "score predicts")

    assert line(plan_of(tmp_path / "none"), "score predicts") == "takes layer"
    assert "p down to 0.0625, Holm 0.2500: NEVER SIGNIFICANT" in predicts(8)
    assert "p down to 0.0192, Holm 0.0769: significant only if 2 others have a smaller p" in predicts(26)


def test_a_claim_whose_arms_are_not_there_is_named_with_them(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, Laid("scalpel", (28, 14)))
    _, untold = plan_table(ahead(plan)).split("Claims that these arms cannot tell:\n")
    assert "- the selected layers beat random layers matched with them: takes random-layers\n" in untold
    assert "beats its projection" not in untold


def test_general_text_takes_documents_enough_for_the_skewness_of_their_changes(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    told = line(plan, "unharmed")
    assert "t over 300 documents, margin 0.01 nats a token; nothing is tested where the skewness of" in told
    assert told.endswith("is above 3.3")
    assert line(plan, "unharmed", documents=27) == "27 documents: nothing is tested with fewer than 28"
    assert line(plan, "unharmed", documents=0) == "takes general text (general_loss)"


def test_detectable_differences_and_problems_needed_are_those_of_a_paired_test(tmp_path: Path) -> None:
    printed = plan_table(ahead(plan_of(tmp_path)))
    row = next(line.split() for line in printed.splitlines() if line.startswith("maths_algebra"))
    assert row[1:3] == ["540", f"+{100 * (detectable(0.5, 0.6, 540, 0.05) or 0):.1f}"]
    assert row[-1] == f"{problems_needed(0.05, 0.5, 0.6, 0.05)}"
    # Two sides of 540 problems, of which .4 of the variance is left in a pair: nearly 540 / .4 unpaired.
    unpaired = NormalIndPower().solve_power(nobs1=540 / 0.4, alpha=0.05, power=0.8)
    assert float(row[2]) == pytest.approx(100 * 0.5 * unpaired, rel=0.06)
    assert any(line.startswith("all tasks") for line in printed.splitlines())
    assert "half of the answers right" in printed


def test_problems_that_could_not_be_counted_are_said(tmp_path: Path) -> None:
    printed = plan_table(ahead(plan_of(tmp_path), tasks=(), reason="ConnectionError: no network"))
    assert "How many problems there are is not known: ConnectionError: no network" in printed


@pytest.mark.parametrize(
    ("known", "words"),
    [
        (
            {},
            "at most 153,600 tokens to generate an arm. At 1,000 tokens a second (assumed) that is 3 minutes an arm",
        ),
        ({"minutes": 4.0}, "2 arms, 2 of them to do: 8 minutes in one worker (4.0 minutes of lm-eval an arm"),
        ({"minutes": 4.0, "done": frozenset(("base",))}, "2 arms, 1 of them to do: 4 minutes"),
        (
            {"tasks": (TaskAhead("arc_fr", 6_000, 0.5, 0),)},
            "6,000 problems an arm whose answers are found more or less likely. At 10 such problems a second "
            "(assumed) that is 10 minutes an arm",
        ),
        (
            {"needs": Needs((Item("base", "b", 8_600_000_000, 0, "here"),), None, None)},
            "Disk: results alone, as arms are edited in memory; one that cannot be is merged, 8.6 GB; 8.6 GB with",
        ),
        (
            {
                "needs": Needs((Item("base", "b", 8_600_000_000, 0, "here"),), None, None),
                "merged": "vllm holds weights out of this process' reach",
            },
            "Disk: 8.6 GB a worker, for the one merged checkpoint that it has at a",
        ),
        ({"tasks": ()}, "how long one takes is known when the first is done"),
    ],
)
def test_arms_and_minutes(tmp_path: Path, known: dict[str, Any], words: str) -> None:
    assert words in plan_table(ahead(plan_of(tmp_path), **known)).replace("\n", " ")


@pytest.mark.parametrize("least", [0.001, 0.006, 0.02, 0.049])
def test_so_many_smaller_p_are_just_enough_for_holm(least: float) -> None:
    needed = Family(12, 0.05).smaller_needed(least)
    assert needed is not None
    for smaller, is_enough in ((needed, True), (needed - 1, False)):
        if smaller >= 0:
            others = [1e-9] * smaller + [0.9] * (11 - smaller)
            assert (holm([least, *others])[0] < 0.05) == is_enough
    assert Family(12, 0.05).smaller_needed(0.05) is None
