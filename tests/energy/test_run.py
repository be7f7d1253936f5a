"""Laws of kept energy, through ``sae-merge energy``."""

import json
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file, save_file

from sae_merge_method.artifacts.diagnosis import read_diagnosis, write_diagnosis
from sae_merge_method.cli.energy import command
from sae_merge_method.errors import RecipeError, UsageError
from sae_merge_method.identity.fingerprint import fingerprint
from sae_merge_method.models.checkpoint import open_checkpoint
from tests import tiny
from tests.energy.donors import crowded, gaussian, in_the_crowd, inside_the_span, loud_dimension
from tests.geometry import scenes
from tests.recipes import recipe_text


def run(scene: scenes.Scene, *words: object) -> str:
    result = CliRunner().invoke(
        command,
        [
            str(w)
            for w in ("--base", scene.base, "--donor", scene.donor, "--diagnosis", scene.diagnosis, *words)
        ],
        catch_exceptions=False,
        standalone_mode=False,
    )
    if result.exception:
        raise result.exception
    return result.stdout


def report(scene: scenes.Scene, *words: object) -> dict:
    return json.loads(run(scene, "--rank", 4, "--format", "json", *words))


def test_on_a_gaussian_task_vector_the_ratio_is_one_within_its_intervals(tmp_path):
    found = report(scenes.build(tmp_path, change=gaussian))
    assert [entry["layer"] for entry in found["layers"]] == [0, 1, 2, 3]
    for entry in (found["total"], *found["layers"]):
        assert entry["random"]["mean"] == entry["chance"]
        for chance in (entry["random"], entry["others"]):
            assert chance["low"] < entry["kept"] < chance["high"]
            assert chance["p"] > 0.01
        assert entry["ratio"] == pytest.approx(entry["kept"] / entry["chance"])
    assert found["total"]["ratio"] == pytest.approx(1, abs=0.1)
    assert found["layers"][0]["effective_rank"] > 0.8 * tiny.D_MODEL


def test_kept_and_chance_are_shares_of_the_same_energy(tmp_path):
    found = report(scenes.build(tmp_path, change=gaussian))
    inside = sum(kind["energy"] for kind in found["kinds"] if kind["side"] == "none")
    assert inside > 0
    total = found["total"]
    assert total["chance"] == pytest.approx(4 / tiny.D_MODEL * (1 - inside / total["energy"]))
    assert total["chance"] == pytest.approx(
        sum((kind["chance"] or 0) * kind["energy"] for kind in found["kinds"]) / total["energy"]
    )


def test_a_task_vector_inside_the_span_is_all_kept(tmp_path):
    found = report(scenes.build(tmp_path, change=inside_the_span), "--reading", "stored")
    for entry in (found["total"], *found["layers"]):
        assert entry["kept"] == pytest.approx(1, abs=1e-5)
        assert entry["ratio"] == pytest.approx(4, abs=1e-4)
        assert entry["random"]["high"] < 1 and entry["others"]["high"] < 1
        assert entry["random"]["p"] < 1e-3 and entry["others"]["p"] < 1e-3
    for entry in found["layers"]:
        assert entry["principal"]["angles"][:4] == pytest.approx([0] * 4, abs=0.2)
        assert entry["best"] == pytest.approx(1, abs=1e-5)
        assert entry["effective_rank"] <= 4.001


def test_what_is_kept_is_what_the_scalpel_injects(tmp_path):
    from tests.recipes import run_recipe

    scene = scenes.build(tmp_path)
    found = report(scene, "--layers", "1, 3", "--reading", "stored")
    source = f"""\
merge_method: {{}}
base_model: {scene.base}
models: [{{{{model: {scene.donor}}}}}]
parameters: {{{{layers: "1, 3", diagnosis: {scene.diagnosis}, {{}}}}}}
"""
    energies = [
        run_recipe(source.format(*words), tmp_path / words[0]).energy
        for words in (("sae_stethoscope", "select: top_k=2"), ("sae_scalpel", "rank: 4"))
    ]
    assert found["total"]["energy"] == pytest.approx(energies[0], rel=1e-5)
    assert found["total"]["kept"] == pytest.approx(energies[1] / energies[0], rel=1e-4)
    assert {kind["kind"]: kind["side"] for kind in found["kinds"]}["self_attn.q_norm.weight"] == "none"
    assert sum(kind["energy"] for kind in found["kinds"]) == pytest.approx(found["total"]["energy"])


def test_features_of_a_crowded_dictionary_keep_more_than_random_subspaces_and_no_more_than_each_other(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(scenes, "random_decoder", lambda layer: crowded(scenes.D_SAE, layer))
    found = report(scenes.build(tmp_path, change=in_the_crowd), "--draws", 40)
    for entry in (found["total"], *found["layers"]):
        assert entry["kept"] > entry["random"]["high"]
        assert entry["others"]["low"] < entry["kept"] < entry["others"]["high"]


def test_other_features_are_matched_in_firing_rate_or_else_in_norm(tmp_path, caplog):
    scene = scenes.build(tmp_path)
    assert {entry["matched_by"] for entry in report(scene)["layers"]} == {"firing rate"}
    assert "matched in firing rate, judged by 20 draws" in run(scene)
    for layer in scenes.SCORES:
        wider = torch.randn(48, tiny.D_MODEL, generator=torch.Generator().manual_seed(layer))
        scenes.save_sae(tmp_path / "wider" / f"layer_{layer}", layer, wider)
    features = "; ".join(f"{layer}: 1, 2, 3" for layer in scenes.SCORES)
    words = ("--features", features, "--sae", f"{tmp_path}/wider/layer_{{layer}}", "--format", "json")
    found = json.loads(run(scene, *words))
    assert {entry["matched_by"] for entry in found["layers"]} == {"norm"}
    assert "the diagnosis has no firing rates of this SAE" in caplog.text


def test_where_nearly_all_features_are_selected_no_others_are_drawn(tmp_path, caplog):
    features = "; ".join(f"{layer}: 0-20" for layer in scenes.SCORES)
    scene = scenes.build(tmp_path)
    found = json.loads(run(scene, "--features", features, "--format", "json"))
    assert found["total"]["others"] is None and found["layers"][0]["matched_by"] is None
    assert "too many to draw as many others" in caplog.text
    none = report(scene, "--draws", 0)
    assert none["total"]["others"] is None and none["total"]["random"] is not None


def test_what_a_norm_turns_down_is_not_what_the_tensor_behind_it_reads(tmp_path):
    """One feature along dimension 0, of which the norms leave nothing: folded in, nothing is kept."""
    scene = scenes.build(tmp_path, change=loud_dimension)
    axis = torch.eye(tiny.D_MODEL)[0].repeat(8, 1) + 1e-3 * torch.randn(8, tiny.D_MODEL)
    for layer in scenes.SCORES:
        scenes.save_sae(tmp_path / "axis" / f"layer_{layer}", layer, axis)
    with_norms = {}
    for folder in (scene.base, scene.donor):
        file = folder / "model.safetensors"
        tensors = load_file(file)
        for name in tensors:
            if "input_layernorm" in name or "pre_feedforward_layernorm" in name:
                tensors[name] = torch.zeros(tiny.D_MODEL)
                tensors[name][0] = -1.0  # Gemma multiplies by one plus the weight
        save_file(tensors, file, metadata={"format": "pt"})
    diagnosis = read_diagnosis(scene.diagnosis)
    known = fingerprint(open_checkpoint(scene.base))
    model = diagnosis.model.model_copy(update={"fingerprint": known})
    write_diagnosis(scene.diagnosis, diagnosis.model_copy(update={"model": model}))
    features = "; ".join(f"{layer}: 0" for layer in scenes.SCORES)
    words = ("--features", features, "--sae", f"{tmp_path}/axis/layer_{{layer}}", "--format", "json")
    for reading in ("stored", "folded"):
        found = json.loads(run(scene, *words, "--reading", reading, "--draws", 0))
        with_norms[reading] = {
            kind["kind"]: kind["kept"] for kind in found["kinds"] if kind["energy"] and kind["side"] == "read"
        }
        assert found["reading"] == reading and found["not_folded"] == []
    assert all(kept > 0.8 for kept in with_norms["stored"].values())
    assert all(kept < 0.01 for kept in with_norms["folded"].values())


def test_an_unchanged_donor_keeps_nothing_of_nothing(tmp_path):
    scene = scenes.build(tmp_path)
    found = report(scene._replace(donor=scene.base))
    assert found["total"]["energy"] == 0
    assert found["total"]["kept"] is None and found["total"]["ratio"] is None
    assert "whole" in run(scene._replace(donor=scene.base))


@pytest.mark.usefixtures("whole_pictures")
def test_the_command_prints_the_same_bytes_twice_and_draws_a_plot(tmp_path):
    scene = scenes.build(tmp_path, dtype=torch.bfloat16)
    plots = [tmp_path / "one.png", tmp_path / "two.png"]
    printed = [run(scene, "--plot", plot, "--read-from", "previous", "--layers", "1-3") for plot in plots]
    assert printed[0] == printed[1]
    assert (
        "layer before" in printed[0]
        and "layer 3" in printed[0]
        and "mlp.down_proj.weight (write)" in printed[0]
    )
    assert plots[0].read_bytes() == plots[1].read_bytes()
    assert plots[0].read_bytes().startswith(b"\x89PNG")


def test_bad_input_is_refused_with_its_reason(tmp_path: Path):
    scene = scenes.build(tmp_path)
    with pytest.raises(UsageError, match="give one of them"):
        run(scene, "--rank", 4, "--features", "1: 3")
    with pytest.raises(UsageError, match="layer 7 is out of range"):
        run(scene, "--layers", "7")
    with pytest.raises(UsageError, match="not an adapter"):
        run(scene._replace(donor=Path(f"{scene.donor}+{scene.donor}")))
    with pytest.raises(RecipeError, match="rank: 17 is more than"):
        run(scene, "--rank", 17)
    with pytest.raises(RecipeError, match="holds other weights"):
        run(scene._replace(base=tiny.gemma3_text(tmp_path / "other", 5, vocabulary=64)))


@pytest.mark.parametrize("rounding", ["nearest", "stochastic"])
def test_what_rounding_leaves_is_what_a_merge_stores(tmp_path, rounding):
    from tests.recipes import run_recipe

    scene = scenes.build(tmp_path, dtype=torch.bfloat16)
    total = report(scene, "--layers", "1, 3", "--weight", "0.01", "--rounding", rounding)["total"]
    source = recipe_text(scene.base, scene.donor, f'layers: "1, 3", rounding: {rounding}', "0.01")
    raw = run_recipe(source, tmp_path / "raw")
    scalpel = source.replace("sae_stethoscope", "sae_scalpel").replace(
        "layers:", f'diagnosis: "{scene.diagnosis}", rank: 4, layers:'
    )
    part = run_recipe(scalpel, tmp_path / "part")
    for found, merged in ((total["stored"], raw), (total["stored_part"], part)):
        assert found["intended_energy"] == pytest.approx(merged.intended_energy, rel=1e-3)
        assert found["energy"] == pytest.approx(merged.energy, rel=0.01)
        assert found["cosine"] == pytest.approx(merged.cosine, rel=0.01)
