"""The card is what the Hub's own classes read, and says what is known and no more."""

import json
import os
import re

import pytest
import torch
from click.testing import CliRunner
from huggingface_hub import EvalResult, ModelCard
from huggingface_hub.repocard_data import model_index_to_eval_results

from sae_merge_method.artifacts.attribution import Attribution, write_attribution
from sae_merge_method.artifacts.diagnosis import read_diagnosis
from sae_merge_method.artifacts.edit_report import read_edit_report
from sae_merge_method.cli.card import command
from sae_merge_method.errors import ArtifactError
from sae_merge_method.files.lock import who_edits
from sae_merge_method.publish.card import write_card
from sae_merge_method.publish.card_file import read_card
from sae_merge_method.publish.sections import edit_section, layers_section
from sae_merge_method.publish.settings import CardSettings
from sae_merge_method.recipe.merged_folder import open_merged
from tests import tiny
from tests.attributions import save_attribution
from tests.comparisons import comparison, save_comparison, subject
from tests.diagnoses import save_diagnosis
from tests.merged import rename_models
from tests.recipes import recipe_text, run_recipe
from tests.reports.oracles import markdown

MIT = CardSettings(license="mit")
TASK = "minerva_math_sae_num_theory"


@pytest.fixture
def out(tmp_path, merged):
    return merged.copy(tmp_path / "maths-model")


def body(folder):
    return (folder / "README.md").read_text()


def test_saes_that_explain_nothing_are_said_beside_the_layers_they_chose(out, tmp_path):
    diagnosis = save_diagnosis(tmp_path / "diagnosis", out, {0: 0.1, 1: 0.9, 2: 0.5, 3: 0.2})
    made = read_diagnosis(diagnosis)
    layers = [one.model_copy(update={"explained_variance": 0.02}) for one in made.layers]
    poor = made.model_copy(update={"layers": (*layers[:3], made.layers[3])})
    words = layers_section(poor, (1, 3), "top_k=2", with_plot=False)
    assert (
        "**The SAEs explain less than 50% of the variance** in 3 of 4 layers, of the selected ones in 1:"
        in words
    )
    assert "in none of the selected ones" in layers_section(poor, (3,), None, with_plot=False)
    assert "explain less" not in layers_section(made, (1, 3), None, with_plot=False)


def result_of(folder):
    return read_edit_report(folder).result_sha256


def test_the_front_matter_is_read_by_the_hubs_own_classes(tmp_path, out):
    rename_models(out, "google/gemma-3-4b-it", "someone/maths")
    result = result_of(out)
    comparison = save_comparison(tmp_path / "comparison.json", result=result)
    write_card(out, CardSettings(license="gemma", repo_id="me/maths-model", comparison=comparison))
    card = ModelCard.load(out / "README.md")
    data = card.data.to_dict()
    assert data["base_model"] == ["google/gemma-3-4b-it", "someone/maths"]
    assert data["base_model_relation"] == "merge"
    assert data["tags"] == ["mergekit", "merge", "sae-merge"]
    assert (data["library_name"], data["license"]) == ("transformers", "gemma")
    name, results = model_index_to_eval_results(data["model-index"])
    assert name == "maths-model"
    assert results[0] == EvalResult(
        task_type="text-generation",
        task_name="minerva_math_sae_num_theory",
        dataset_type="EleutherAI/hendrycks_math",
        dataset_name="minerva_math_sae_num_theory",
        dataset_config="number_theory",
        dataset_split="test",
        dataset_args={"problems": 540},
        metric_type="exact_match",
        metric_name="exact_match,none",
        metric_args={"result_sha256": result},
        metric_value=0.3944,
    )
    assert results[1].dataset_type == "other|task"
    assert "sae-merge rebuild me/maths-model rebuilt/" in card.text


def test_mergekits_section_stays_and_the_recipe_stands_once(out):
    section = body(out).split("---\n", 2)[2].strip()
    write_card(out, MIT)
    assert section in body(out)
    assert body(out).count("merge_method: sae_stethoscope") == 1
    assert "26 of 54 tensors, those of layers 1, 3 of 4" in body(out)
    write_card(out, CardSettings(license="mit", name="Maths"))
    assert "\n# Maths\n" in body(out)


def test_a_second_run_renews_its_own_part_and_keeps_what_the_user_wrote(out):
    write_card(out, MIT)
    once = body(out)
    write_card(out, MIT)
    assert body(out) == once
    text = once.replace("---\nlibrary_name", "---\nlanguage: en\nlibrary_name", 1)
    (out / "README.md").write_text(text + "\n## Thanks\n\nTo everybody.\n")
    write_card(out, CardSettings(license="apache-2.0"))
    assert "## Thanks\n\nTo everybody." in body(out)
    assert body(out).count("## Rebuild and verify") == 1
    data = ModelCard.load(out / "README.md").data.to_dict()
    assert (data["language"], data["license"]) == ("en", "apache-2.0")


def test_what_a_card_keeps_is_read_by_who_holds_the_folder(out, monkeypatch):
    holders = []

    def look(folder):
        holders.append(who_edits(folder))
        return read_card(folder)

    monkeypatch.setattr("sae_merge_method.publish.card.read_card", look)
    write_card(out, MIT)
    assert f"process {os.getpid()} (" in holders[0]
    assert who_edits(out) is None


def test_a_folder_without_a_card_gets_one_with_its_recipe(out):
    (out / "README.md").unlink()
    write_card(out, MIT)
    assert "# maths-model" in body(out)
    assert "merge_method: sae_stethoscope" in body(out)


def test_the_layers_stand_in_a_table_and_a_plot(tmp_path, out, merged):
    diagnosis = save_diagnosis(tmp_path / "diagnosis", merged.base, {0: 0.1, 1: 0.9, 2: 0.2, 3: 0.8})
    (diagnosis / "specificity.png").write_bytes(b"\x89PNG picture")
    write_card(out, CardSettings(license="mit", diagnosis=diagnosis))
    assert (out / "specificity.png").read_bytes() == b"\x89PNG picture"
    assert "](specificity.png)" in body(out)
    assert "| 1 | **yes** | 0.9 |" in body(out)
    assert "| 2 |  | 0.2 |" in body(out)
    assert "is not shown here: it takes controls" in body(out)


def test_the_verdict_table_shows_raw_and_corrected_p_and_cannot_be_broken_by_a_name(tmp_path, out):
    comparison = save_comparison(tmp_path / "c.json", result=result_of(out))
    write_card(out, CardSettings(license="mit", comparison=comparison))
    row = "| minerva_math_sae_num_theory | 540 | 29.6% | 39.4% | +9.8 | +3.41 | 0.0007 | 0.0013 | **improved** |"
    assert row in body(out)
    assert "| other\\|task | 540 |" in body(out)
    assert "- It is \\<b\\>format\\</b\\>, not maths." in body(out)
    assert "1 improved, 0 degraded, 1 not shown (before correction)" in body(out)


def test_an_experiments_report_is_taken_in_one_level_down(tmp_path, out):
    folder = tmp_path / "experiment"
    folder.mkdir()
    (folder / "experiment.md").write_text(
        "# The experiment\n\n## Arms\n\nrandom layers: z 0.3\n\n## By hand\n\nsae-merge merge arms/scalpel/recipe.yml\n"
    )
    settings = CardSettings(license="mit", experiment=folder, allow_unmatched=True)
    write_card(out, settings)
    assert "## What else was tried\n\n**Not known to be of this checkpoint** (allowed): " in body(out)
    assert "\n\n### Arms\n\nrandom layers: z 0.3" in body(out)
    assert "arms/scalpel" not in body(out)
    (folder / "experiment.md").unlink()
    with pytest.raises(ArtifactError, match=r"expected an experiment's folder with experiment\.md"):
        write_card(out, settings)


def test_the_diagnosis_of_another_model_is_refused(tmp_path, out, merged):
    base = merged.copy_base(tmp_path / "base")
    config = json.loads((base / "config.json").read_text())
    (base / "config.json").write_text(json.dumps(config | {"sliding_window": 7}))
    diagnosis = save_diagnosis(tmp_path / "diagnosis", base, {1: 0.9})
    with pytest.raises(ArtifactError, match="computes something else than the base of .*: sliding_window"):
        write_card(out, CardSettings(license="mit", diagnosis=diagnosis))


def test_folders_are_named_as_folders_until_their_ids_are_given(out, merged, caplog):
    result = CliRunner().invoke(command, [str(out), "--license", "mit"])
    assert result.exit_code == 0
    assert result.output == f"{out / 'README.md'}\n"
    assert f"{merged.donor} is a folder: --base and --donor can say its Hub id" in caplog.text
    assert "base_model" not in ModelCard.load(out / "README.md").data.to_dict()
    words = ["--license", "mit", "--base", "google/gemma-3-4b-it", "--donor", "someone/maths"]
    assert CliRunner().invoke(command, [str(out), *words]).exit_code == 0
    data = ModelCard.load(out / "README.md").data.to_dict()
    assert data["base_model"] == ["google/gemma-3-4b-it", "someone/maths"]
    assert "rebuild . rebuilt/ --base google/gemma-3-4b-it --donor someone/maths" in body(out)
    assert "by folder" not in body(out)


def test_names_in_a_card_are_neither_metadata_nor_markup(out, tmp_path):
    name = "a\u2028b: c\n---\n# d <img src=x onerror=y> `e` \x1b[2J\u202e"
    named = subject(f"{TASK}\n---\n<script>", 0.3, 0.4, "improved", 0.0007, True)
    made = comparison(named, notes=("<!-- end of sae-merge card -->",), result=result_of(out))
    saved = save_comparison(tmp_path / "comparison.json", made)
    settings = CardSettings(license="mit", name=name, comparison=saved)
    write_card(out, settings)
    first = body(out)
    assert ModelCard.load(out / "README.md").data.to_dict()["model-index"][0]["name"] == name
    shown = first.partition("\n---\n")[2]
    assert not {"html_inline", "html_block"} & set(re.findall(r"html_\w+", str(markdown(ours_of(shown)))))
    assert "\x1b" not in first and "\u202e" not in first
    write_card(out, settings)
    assert body(out) == first


def ours_of(text):
    """A card without the two marks around our part, which are comments."""
    return "\n".join(line for line in text.splitlines() if not line.startswith("<!-- "))


def test_a_card_says_how_values_were_rounded_and_what_is_stored_of_the_edit(tmp_path):
    base, donor = (tiny.gemma3_text(tmp_path / str(n), n, dtype=torch.bfloat16) for n in (0, 1))
    gate = 'layers: "1, 3", rounding: stochastic, rounding_seed: 3'
    run_recipe(recipe_text(base, donor, gate, "0.01"), tmp_path / "out")
    words = edit_section(open_merged(tmp_path / "out"))
    assert "rounded once, by `rounding: stochastic` with seed 3. All others" in words
    assert re.search(
        r"Stored of it: \d+\.\d+% of its energy, cosine 0\.\d\d; \d+\.\d+% of these tensors' values", words
    )


def test_what_each_layer_carries_of_the_donor_is_shown(out, merged, tmp_path, caplog):
    attribution = save_attribution(tmp_path / "attribution", merged.base, merged.donor)
    write_card(out, MIT.model_copy(update={"attribution": str(attribution)}))
    card = body(out)
    assert "Of the donor's gain of 1.5000 nats a token on maths.jsonl, layer 1 carries 60.0%." in card
    assert "Layers 1, 3 carry +1.6000 of the gain" in card
    write_card(out, MIT)
    assert "layer 1 carries 60.0%" in body(out)  # of this very checkpoint: it stays


def test_an_attribution_of_the_first_order_alone_says_nothing_of_the_whole_donor(out, merged, tmp_path):
    folder = save_attribution(tmp_path / "attribution", merged.base, merged.donor)
    text = (folder / "attribution.json").read_text()
    made = Attribution.model_validate_json(text)
    first = made.target.model_copy(update={"gain": None})
    write_attribution(folder, made.model_copy(update={"target": first}), ())
    with pytest.raises(ArtifactError, match="without --first-order"):
        write_card(out, MIT.model_copy(update={"attribution": str(folder)}))
