"""The sections that a card shows of what was measured: what is named now, and what stands of this very result."""

import logging
from pathlib import Path

import pytest

from sae_merge_method.artifacts.diagnosis import read_diagnosis, write_diagnosis
from sae_merge_method.errors import ArtifactError
from sae_merge_method.publish.card_file import CardFile, OurSection
from sae_merge_method.publish.settings import CardSettings
from sae_merge_method.publish.shown import shown_sections
from sae_merge_method.recipe.merged_folder import MergedFolder, open_merged
from tests.attributions import save_attribution
from tests.comparisons import comparison
from tests.diagnoses import save_diagnosis
from tests.merged import Merged

NOTHING = CardFile({}, "# A model")
SCORES = {0: 0.1, 1: 0.9, 2: 0.2, 3: 0.8}


@pytest.fixture(scope="module")
def folder(merged: Merged) -> MergedFolder:
    return open_merged(merged.out)


@pytest.fixture(scope="module")
def result(folder: MergedFolder) -> str:
    assert folder.report is not None
    return folder.report.result_sha256


def shown(folder: MergedFolder, standing: CardFile = NOTHING, **named: object) -> dict[str, OurSection]:
    return shown_sections(folder, standing, CardSettings.model_validate(named), None, with_plot=False)


def standing(**results: str | None) -> CardFile:
    return CardFile({}, "", {name: OurSection(name, f"old {name}", one) for name, one in results.items()})


def test_without_anything_named_nothing_is_shown(folder: MergedFolder) -> None:
    assert shown(folder) == {}


def test_a_diagnosis_says_why_these_layers_of_this_result(
    folder: MergedFolder, merged: Merged, result: str, tmp_path: Path
) -> None:
    diagnosis = save_diagnosis(tmp_path / "diagnosis", merged.base, SCORES)
    (section,) = shown(folder, diagnosis=diagnosis).values()
    assert (section.name, section.result) == ("layers", result)
    assert "## Why these layers" in section.text


def test_what_stands_of_this_result_stays_until_something_newer_is_named(
    folder: MergedFolder, merged: Merged, result: str, tmp_path: Path
) -> None:
    card = standing(layers=result, experiment=result)
    assert shown(folder, card) == dict(card.ours)
    diagnosis = save_diagnosis(tmp_path / "diagnosis", merged.base, SCORES)
    found = shown(folder, card, diagnosis=diagnosis)
    assert found["experiment"] == card.ours["experiment"]
    assert found["layers"].text != card.ours["layers"].text


@pytest.mark.parametrize(("of", "words"), [("0" * 64, "0" * 16), (None, "unknown")])
def test_what_stands_of_another_result_is_left_out_and_that_is_said(
    folder: MergedFolder, result: str, of: str | None, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert shown(folder, standing(verdict=of, tune=result)).keys() == {"tune"}
    assert f"section on the verdict is of result {words}: it is left out" in caplog.text


def test_a_section_that_is_not_of_a_measurement_is_for_others(folder: MergedFolder, result: str) -> None:
    assert shown(folder, standing(rebuild=result)) == {}


def test_a_comparison_that_does_not_say_of_what_it_is_is_taken_where_that_is_allowed(
    folder: MergedFolder, result: str
) -> None:
    for allowed in (False, True):
        settings = CardSettings(comparison="comparison.json", allow_unmatched=allowed)
        call = (folder, NOTHING, settings, comparison())
        if not allowed:
            with pytest.raises(ArtifactError, match="--allow-unmatched takes it, and the card says so"):
                shown_sections(*call, with_plot=False)
        else:
            section = shown_sections(*call, with_plot=False)["verdict"]
            assert section.result == result and "Not known to be of this checkpoint" in section.text


def test_a_diagnosis_of_another_base_is_refused(folder: MergedFolder, merged: Merged, tmp_path: Path) -> None:
    made = read_diagnosis(save_diagnosis(tmp_path / "diagnosis", merged.base, SCORES))
    other = made.model.model_copy(update={"config_sha256": "1" * 64})
    write_diagnosis(tmp_path / "diagnosis", made.model_copy(update={"model": other}))
    with pytest.raises(ArtifactError, match="another config.json than the base of"):
        shown(folder, diagnosis=tmp_path / "diagnosis")


@pytest.mark.parametrize("of", ["donor", "base"])
def test_an_attribution_of_another_donor_is_shown_and_that_is_said(
    folder: MergedFolder, merged: Merged, tmp_path: Path, of: str, caplog: pytest.LogCaptureFixture
) -> None:
    save_attribution(tmp_path / "attribution", merged.base, getattr(merged, of))
    with caplog.at_level(logging.WARNING):
        assert shown(folder, attribution=tmp_path / "attribution").keys() == {"attribution"}
    assert (f"the recipe names {merged.donor}" in caplog.text) == (of == "base")
