"""An experiment in a model's card: which of its arms the model is, and whose verdict its report gives."""

from dataclasses import replace
from pathlib import Path

import pytest

from sae_merge_method.artifacts.edit_report import read_edit_report
from sae_merge_method.artifacts.schema import write_record
from sae_merge_method.errors import ArtifactError
from sae_merge_method.experiment.report.markdown import as_markdown
from sae_merge_method.publish.card import write_card
from sae_merge_method.publish.settings import CardSettings
from tests.diagnoses import save_diagnosis
from tests.experiment.report.folders import BASE, NATS, PICK, Laid, collected, harmed
from tests.merged import Merged

OTHER, ANOTHER = "0" * 64, "1" * 64
ARMS = (
    replace(BASE, nats=NATS),
    harmed(PICK, 1.0),
    harmed(Laid("all-layers", (70, 40), tuple(range(8))), 90.0),
    harmed(Laid("layer-5", (26, 10), (5,)), 0.3),
)
IS_PICK = (
    'This model is the arm `stethoscope`: "the edit", "the pick" and "the selected layers" below are its own.'
)
BELOW = 'Below, "the edit", "the pick" and "the selected layers" are the arm `stethoscope` (layers 2, 3)'


@pytest.fixture
def out(tmp_path: Path, merged: Merged) -> Path:
    return merged.copy(tmp_path / "maths-model")


@pytest.fixture
def result(out: Path) -> str:
    return str(read_edit_report(out).result_sha256)


def save_experiment(folder: Path, *results: str | None, **changes: object) -> Path:
    """An experiment of which one arm after the other, from the pick on, is of these checkpoints; the last
    repeats. ``changes`` are those of the arm all-layers."""
    made = collected(folder / "laid", ARMS)
    of = [None, *results, *(results[-1:] * len(made.arms))]
    measured = tuple(
        arm.model_copy(update={"result_sha256": digest} | (changes if arm.name == "all-layers" else {}))
        for arm, digest in zip(made.arms, of, strict=False)
    )
    experiment = made.model_copy(update={"arms": measured})
    write_record(folder / "experiment.json", experiment)
    (folder / "experiment.md").write_text(as_markdown(experiment))
    return folder


def card(out: Path, experiment: Path, **more: object) -> str:
    write_card(out, CardSettings(license="mit", experiment=experiment, **more))
    return (out / "README.md").read_text()


def test_an_experiment_of_other_checkpoints_is_refused_by_name(tmp_path: Path, out: Path) -> None:
    folder = save_experiment(tmp_path / "exp", OTHER)
    names = r"none of its arms \(base, stethoscope, all-layers, layer-5\) is result"
    with pytest.raises(ArtifactError, match=names):
        card(out, folder, allow_unmatched=True)


def test_the_edit_of_a_report_is_this_model_where_it_is_the_pick(
    tmp_path: Path, out: Path, result: str
) -> None:
    folder = save_experiment(tmp_path / "exp", result, OTHER)
    for path in (folder, folder / "experiment.md"):
        shown = card(out, path)
        assert f"## What else was tried\n\n{IS_PICK}\n\n- base: ./base" in shown
        assert "another model" not in shown and "Not known to be of this checkpoint" not in shown
        assert shown.count("\n| **stethoscope** (this model) | 2, 3 | 40.0% |") == 1
        assert "\n| all-layers | 0-7 |" in shown


def test_a_model_that_is_another_arm_is_told_apart_from_the_edit_and_its_own_numbers_come_first(
    tmp_path: Path, out: Path, result: str
) -> None:
    shown = card(out, save_experiment(tmp_path / "exp", OTHER, result, ANOTHER))
    opening = shown.partition("## What else was tried\n\n")[2].partition("\n\n- base: ./base")[0]
    words, own = opening.split("\n\n")
    assert words == f"This model is the arm `all-layers` (layers 0-7). {BELOW}, another model."
    assert own.startswith(
        "- `all-layers`: exact_match 73.3% over all tasks, +53.3 points against the base, p "
    )
    assert "before correction: **improved**. Damage to general text: +9." in own
    assert "| **all-layers** (this model) | 0-7 | 73.3% |" in shown
    assert shown.count("(this model) |") == 2  # among arms and subjects
    assert "\n| **stethoscope** | 2, 3 |" in shown


def test_what_has_to_be_known_of_an_arms_numbers_is_said_with_them(
    tmp_path: Path, out: Path, result: str
) -> None:
    of_arm = {
        "mismatches": ("num_fewshot: 0 and 4",),
        "notes": ("Half of <it> was cut off.",),
        "general": None,
    }
    shown = card(out, save_experiment(tmp_path / "exp", OTHER, result, ANOTHER, **of_arm))
    assert ": **improved**. Damage to general text: was not measured.\n" in shown
    assert "- `all-layers`: evaluated otherwise than the base, num_fewshot: 0 and 4\n" in shown
    assert "- `all-layers`: Half of \\<it\\> was cut off.\n" in shown


def test_a_single_layers_row_is_marked_where_single_layers_stand(
    tmp_path: Path, out: Path, result: str
) -> None:
    shown = card(out, save_experiment(tmp_path / "exp", OTHER, ANOTHER, result))
    assert "This model is the arm `layer-5` (layers 5). Below," in shown
    assert "\n| **5** (this model) | 0.5 |" in shown.replace("0.5000", "0.5")
    assert "\n| **layer-5** (this model) |" in shown


def test_arms_of_the_same_weights_are_all_named_and_the_pick_is_the_pick(
    tmp_path: Path, out: Path, result: str
) -> None:
    shown = card(out, save_experiment(tmp_path / "exp", result, result, OTHER))
    assert "This model is the arms `stethoscope` and `all-layers`, all alike: " in shown
    assert '"the selected layers" below are its own.' in shown and "another model" not in shown


def test_a_pick_that_no_hash_is_known_of_is_not_called_another_model(
    tmp_path: Path, out: Path, result: str
) -> None:
    assert f"{BELOW}.\n" in card(out, save_experiment(tmp_path / "exp", None, result, ANOTHER))


def test_controls_for_another_arms_layers_are_none_for_this_models(
    tmp_path: Path, out: Path, result: str, merged: Merged
) -> None:
    diagnosis = save_diagnosis(tmp_path / "diagnosis", merged.base, {0: 0.1, 1: 0.9, 2: 0.2, 3: 0.8})
    no_controls = "That these layers are better than others of the same number is not shown here"
    as_pick, as_other = (
        save_experiment(tmp_path / name, *results)
        for name, results in (("pick", (result, OTHER)), ("other", (OTHER, result, ANOTHER)))
    )
    assert no_controls not in card(out, as_pick, diagnosis=diagnosis)
    assert no_controls in card(out, as_other)
    write_card(out, CardSettings())  # as the standing section says
    assert no_controls in (out / "README.md").read_text()


def test_an_arms_name_is_marked_whatever_signs_it_holds(tmp_path: Path, out: Path, result: str) -> None:
    folder = save_experiment(tmp_path / "exp", OTHER, result, ANOTHER, name=r"a|\1*")
    (row,) = [line for line in card(out, folder).splitlines() if "(this model) | 0-7" in line]
    assert row.startswith(r"| **a\|\\1\*** (this model) | 0-7 | 73.3% |")
