"""Layers chosen by a score that knows the donor: of an attribution, with or without a diagnosis beside it."""

import json
import logging
from pathlib import Path

import pytest
import yaml

from sae_merge_method.artifacts.recipe import RecipeText
from sae_merge_method.diagnose.select import draw_selection, select_layers
from sae_merge_method.errors import RecipeError, UsageError
from sae_merge_method.recipe.check import check_recipe
from sae_merge_method.recipe.from_diagnosis import RecipeSettings, make_recipe, write_recipe
from sae_merge_method.recipe.resolved import resolve_recipe
from tests import tiny
from tests.adapters import save_lora
from tests.attributions import save_attribution
from tests.mergekit import plain_mergekit
from tests.recipes import recipe_text, run_recipe


@pytest.fixture
def attribution(tmp_path, base, donor):
    return save_attribution(tmp_path / "attribution", base, donor)


def settings(attribution, base, donor, **given):
    asked = {"score": "attributed_gain", "select": "top_k=2"} | given
    return RecipeSettings(diagnosis=attribution, base=base, donor=donor, **asked)


def test_a_recipe_takes_the_layers_of_a_score_that_knows_the_donor_and_says_which(
    tmp_path, attribution, base, donor
):
    recipe = write_recipe(settings(attribution, base, donor), tmp_path / "recipe.yml")
    assert recipe.layers == (1, 3)
    assert "top_k=2 of attributed_gain chose layers 1, 3 of 4" in recipe.text
    assert "Overlap with what the rule takes: 0.33 by the donor's other scores." in recipe.text
    record = yaml.safe_load(recipe.text)["sae_evidence"]
    assert record["score"] == "attributed_gain"
    assert record["select"] == "top_k=2"
    assert "path" not in record
    assert resolve_recipe(tmp_path / "recipe.yml").layers == (1, 3)


def test_an_attribution_alone_wants_one_of_its_scores_named(attribution, base, donor):
    with pytest.raises(RecipeError, match="name one of its scores with --score: attributed_gain, lewis"):
        make_recipe(settings(attribution, base, donor, score=None))


def test_a_score_that_was_not_measured_is_refused_with_those_that_were(attribution, base, donor):
    with pytest.raises(UsageError, match="'probe_gain': this attribution has attributed_gain, lewis"):
        make_recipe(settings(attribution, base, donor, score="probe_gain"))


def test_an_attribution_of_another_base_is_refused(tmp_path, attribution, donor):
    other = tiny.gemma3_text(tmp_path / "other", seed=5)
    with pytest.raises(RecipeError, match="holds other weights"):
        make_recipe(settings(attribution, other, donor))


def test_of_another_donor_it_is_said_that_the_scores_may_say_little(tmp_path, attribution, base, caplog):
    other = tiny.gemma3_text(tmp_path / "other", seed=5)
    with caplog.at_level(logging.WARNING):
        make_recipe(settings(attribution, base, other))
    assert "its scores may say little of" in caplog.text


def test_a_rule_that_needs_a_null_is_refused(attribution, base, donor):
    with pytest.raises(UsageError, match="differs needs q-values"):
        make_recipe(settings(attribution, base, donor, select="differs=0.05"))


def test_select_shows_what_rules_take_of_it(attribution):
    selection = select_layers(attribution, "top_k=2", score="attributed_gain")
    assert selection.layers == (1, 3)
    assert selection.over_scores == pytest.approx(1 / 3)
    assert selection.agreement is None
    with pytest.raises(UsageError, match="no diagnosis beside it"):
        select_layers(attribution, "top_k=2", score="attributed_gain", beside=[attribution])
    with pytest.raises(UsageError, match="layers were chosen by attributed_gain"):
        draw_selection(attribution, selection, mark=True)
    assert str(selection).count("attributed_gain") == 1


def by_the_gate(attribution, base, donor):
    gate = f"diagnosis: {attribution}, score: attributed_gain, select: top_k=2"
    return RecipeText(recipe_text(base, donor, gate), "recipe.yml")


def test_a_gate_that_a_score_of_an_attribution_computes_is_checked_and_merged_as_one_with_its_layers(
    tmp_path, attribution, base, donor
):
    recipe = by_the_gate(attribution, base, donor)
    checked = check_recipe(recipe)
    assert not checked.faults
    assert any("is an attribution of this base and the donor" in one.text for one in checked.findings)
    assert run_recipe(recipe.text, tmp_path / "out").layers == (1, 3)
    plain_mergekit(recipe.text, tmp_path / "stock")
    assert tiny.edited_layers(tmp_path / "stock", base) == {1, 3}


def test_a_gate_of_an_attribution_of_another_base_is_at_fault_and_of_another_donor_odd(
    tmp_path, attribution, base, donor
):
    other = tiny.gemma3_text(tmp_path / "other", seed=5)
    (fault,) = check_recipe(by_the_gate(attribution, other, donor)).faults
    assert fault.subject == "diagnosis" and "holds other weights" in fault.text
    findings = check_recipe(by_the_gate(attribution, base, other)).findings
    assert [one.verdict for one in findings if "is an attribution of this base" in one.text] == ["odd"]


@pytest.mark.parametrize("adapter", [False, True])
def test_a_donor_is_the_attributions_by_whatever_path_it_is_named(
    tmp_path, base, donor, adapter, monkeypatch, caplog
):
    save_attribution(tmp_path / "att", base, donor)
    monkeypatch.chdir(tmp_path)
    named = Path("base"), "donor"
    if adapter:
        save_lora(tmp_path / "lora", [1, 3])
        named = Path("base"), "base+lora"
        record = json.loads((tmp_path / "att/attribution.json").read_text())
        record["donor"]["id"] = f"./base+{tmp_path / 'lora'}"
        (tmp_path / "att/attribution.json").write_text(json.dumps(record))
    write_recipe(settings(Path("att"), *named), "recipe.yml")
    assert "its scores may say little" not in caplog.text
    by_record = check_recipe("recipe.yml").findings
    by_gate = check_recipe(by_the_gate("att", "./base", f"./{named[1]}")).findings
    verdicts = [one.verdict for one in (*by_record, *by_gate) if "an attribution of" in one.text]
    assert verdicts == ["fits", "fits"]
