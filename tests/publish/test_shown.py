"""The sections that a card shows of what was measured: what is named now, and what stands of this very result."""

import json
import logging
from pathlib import Path

import pytest
from transformers import AutoConfig

from sae_merge_method.artifacts.attribution import read_attribution
from sae_merge_method.artifacts.schema import write_record
from sae_merge_method.errors import ArtifactError
from sae_merge_method.publish.card_file import CardFile, OurSection
from sae_merge_method.publish.settings import CardSettings
from sae_merge_method.publish.shown import shown_sections
from sae_merge_method.recipe.merged_folder import MergedFolder, open_merged
from tests.attributions import save_attribution
from tests.comparisons import comparison
from tests.diagnoses import save_diagnosis
from tests.merged import Merged, rename_models

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


def test_a_diagnosis_of_the_donor_is_refused_though_its_config_is_the_bases(
    folder: MergedFolder, merged: Merged, tmp_path: Path
) -> None:
    assert (merged.donor / "config.json").read_bytes() == (merged.base / "config.json").read_bytes()
    made = save_diagnosis(tmp_path / "diagnosis", merged.donor, SCORES)
    with pytest.raises(
        ArtifactError, match="diagnosis is of .*/donor, which holds other weights than the base of"
    ):
        shown(folder, diagnosis=made)


def test_an_attribution_of_another_fine_tune_is_refused(
    folder: MergedFolder, merged: Merged, tmp_path: Path
) -> None:
    made = save_attribution(tmp_path / "attribution", merged.donor, merged.donor)
    with pytest.raises(ArtifactError, match="which holds other weights than the base of"):
        shown(folder, attribution=made)


def test_an_attribution_of_a_model_of_another_size_or_with_other_constants_is_refused(
    merged: Merged, tmp_path: Path
) -> None:
    out = merged.copy(tmp_path / "out")
    rename_models(out, "someone/base", str(merged.donor))  # not at hand
    made = save_attribution(tmp_path / "attribution", merged.base, merged.donor)
    assert shown(open_merged(out), attribution=made)
    attribution = read_attribution(made)
    for changes, words in (
        ({"tensors": "1" * 64}, "tensors have other names or shapes than those of the base"),
        ({"constants": {"sliding_window": 7}}, "computes something else than the base .*: sliding_window"),
    ):
        other = attribution.base.fingerprint.model_copy(update=changes)
        base = attribution.base.model_copy(update={"fingerprint": other})
        write_record(made / "attribution.json", attribution.model_copy(update={"base": base}))
        with pytest.raises(ArtifactError, match=words):
            shown(open_merged(out), attribution=made)


@pytest.mark.parametrize("is_at_hand", [True, False])
def test_an_attribution_is_of_the_base_whose_config_transformers_wrote_again(
    merged: Merged, tmp_path: Path, is_at_hand: bool
) -> None:
    """As mergekit writes that of the first Gemma, where gelu stood for its approximation by tanh."""
    base, out = merged.copy_base(tmp_path / "base"), merged.copy(tmp_path / "out")
    config = json.loads((base / "config.json").read_text())
    first = config | {"model_type": "gemma", "hidden_act": "gelu", "hidden_activation": None}
    (base / "config.json").write_text(json.dumps(first))
    AutoConfig.from_pretrained(base).save_pretrained(out)
    assert json.loads((out / "config.json").read_text())["hidden_act"] == "gelu_pytorch_tanh"
    rename_models(out, str(base) if is_at_hand else "someone/base", str(merged.donor))
    made = save_attribution(tmp_path / "attribution", base, merged.donor)
    assert shown(open_merged(out), attribution=made)
    (base / "config.json").write_text(json.dumps(first | {"hidden_act": "silu"}))
    made = save_attribution(tmp_path / "attribution", base, merged.donor)
    (base / "config.json").write_text(json.dumps(first))
    with pytest.raises(ArtifactError, match="computes something else than the base .*: hidden_act"):
        shown(open_merged(out), attribution=made)


@pytest.mark.parametrize("is_at_hand", [True, False])
def test_a_diagnosis_is_of_the_base_whose_config_transformers_wrote_again(
    merged: Merged, tmp_path: Path, is_at_hand: bool
) -> None:
    base, again = merged.copy_base(tmp_path / "base"), merged.copy_base(tmp_path / "again")
    out = merged.copy(tmp_path / "out")
    AutoConfig.from_pretrained(base).save_pretrained(again)
    assert (again / "config.json").read_bytes() != (base / "config.json").read_bytes()
    rename_models(out, str(base) if is_at_hand else "someone/base", str(merged.donor))
    made = save_diagnosis(tmp_path / "diagnosis", again, SCORES)
    assert shown(open_merged(out), diagnosis=made).keys() == {"layers"}
    config = json.loads((again / "config.json").read_text())
    (again / "config.json").write_text(json.dumps(config | {"sliding_window": 7}))
    made = save_diagnosis(tmp_path / "other", again, SCORES)
    with pytest.raises(ArtifactError, match="computes something else than the base .*: sliding_window"):
        shown(open_merged(out), diagnosis=made)


def test_the_fingerprint_that_a_recipe_keeps_stands_for_a_base_that_is_not_at_hand(
    merged: Merged, tmp_path: Path
) -> None:
    out = merged.copy(tmp_path / "out")
    rename_models(out, "someone/base", str(merged.donor))
    ours, others = (
        save_attribution(tmp_path / name, base, merged.donor)
        for name, base in (("ours", merged.base), ("others", merged.donor))
    )
    record = {"model": "base", "fingerprint": read_attribution(ours).base.fingerprint.model_dump(mode="json")}
    recipe = out / "mergekit_config.yml"
    recipe.write_text(recipe.read_text() + f"sae_evidence: {json.dumps(record)}\n")
    assert shown(open_merged(out), attribution=ours)
    with pytest.raises(ArtifactError, match="which holds other weights than the base of"):
        shown(open_merged(out), attribution=others)


@pytest.mark.parametrize("of", ["donor", "base"])
def test_an_attribution_of_another_donor_is_shown_and_that_is_said(
    folder: MergedFolder, merged: Merged, tmp_path: Path, of: str, caplog: pytest.LogCaptureFixture
) -> None:
    save_attribution(tmp_path / "attribution", merged.base, getattr(merged, of))
    with caplog.at_level(logging.WARNING):
        assert shown(folder, attribution=tmp_path / "attribution").keys() == {"attribution"}
    assert (f"the recipe names {merged.donor}" in caplog.text) == (of == "base")


def test_a_donor_is_the_same_however_its_path_is_written_or_by_the_id_that_is_given(
    folder: MergedFolder,
    merged: Merged,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = save_attribution(tmp_path / "attribution", merged.base, merged.donor)
    monkeypatch.chdir(merged.donor.parent)
    attribution = read_attribution(made)
    for name, given in (("donor", ()), ("./donor", ()), ("me/maths", ("me/maths@abc",))):
        donor = attribution.donor.model_copy(update={"id": name})
        write_record(made / "attribution.json", attribution.model_copy(update={"donor": donor}))
        assert shown(folder, attribution=made, donor=given)
    assert "the recipe names" not in caplog.text
