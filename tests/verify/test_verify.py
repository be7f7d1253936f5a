"""A sound checkpoint is proved, and every mutation is caught by name."""

import json
import re
import shutil

import pytest
import torch
from click.testing import CliRunner

from sae_merge_method.cli.verify import command
from sae_merge_method.errors import ArtifactError, MergeError, RecipeError, UsageError
from sae_merge_method.merge.run import run_recipe
from sae_merge_method.verify.audit import verify
from sae_merge_method.verify.streams import Streams
from tests import tiny
from tests.geometry import scenes
from tests.merge.conftest import recipe_text
from tests.verify.conftest import CLOSED, Q_PROJ, flip_one_bit, rewrite, swap_layers

NORM = "model.norm.weight"


def violations(folder, **where):
    return {violation.where: violation.what for violation in verify(folder, **where).ledger.violations}


def test_our_own_merge_is_proved_in_full(merged):
    ledger = verify(merged.out).ledger
    assert ledger.sound and not ledger.unproved
    proved = "\n".join(ledger.proved)
    assert "54 tensors: the base's names" in proved
    assert "28 tensors outside the selected layers: the base's bytes" in proved
    assert "26 edited tensors: base + weight * (donor - base), bit for bit, rounded once" in proved
    assert "54 tensors have the hashes of edit_report.json" in proved
    assert "2 tokenizer files as the base's" in proved


@pytest.mark.parametrize("hashes_only", [False, True])
@pytest.mark.parametrize(
    ("change", "where", "said", "said_by_hash"),
    [
        (
            flip_one_bit(Q_PROJ),
            Q_PROJ,
            "1 values differ from base + weight",
            "do not have the hash",
        ),
        (
            flip_one_bit(CLOSED),
            CLOSED,
            "1 values differ from the base (layer 2 is not selected)",
            "do not have the hash",
        ),
        (flip_one_bit(NORM), NORM, "differ from the base (outside the layers)", "do not have the hash"),
        (lambda t: t.pop(Q_PROJ), Q_PROJ, "the base has this tensor, the checkpoint lacks it", "lacks it"),
        (lambda t: t.pop(NORM), NORM, "the base has this tensor, the checkpoint lacks it", "lacks it"),
        (
            lambda t: t.update(extra=torch.zeros(1)),
            "extra",
            "the checkpoint has this tensor, the base does not",
            "does not list it",
        ),
        (
            swap_layers,
            Q_PROJ,
            "it holds the bytes that belong in model.layers.3.self_attn.q_proj.weight",
            "it holds the bytes that belong in model.layers.3.self_attn.q_proj.weight",
        ),
        (
            lambda t: t.update({Q_PROJ: t[Q_PROJ].bfloat16()}),
            Q_PROJ,
            "stored as BF16, expected F32",
            "BF16 [16, 16], edit_report.json says F32",
        ),
        (
            lambda t: t.update({Q_PROJ: t[Q_PROJ].reshape(8, 32)}),
            Q_PROJ,
            "shape [8, 32], expected [16, 16]",
            "F32 [8, 32], edit_report.json says F32 [16, 16]",
        ),
    ],
)
def test_a_changed_tensor_is_caught_by_name(
    tmp_path, merged, monkeypatch, change, where, said, said_by_hash, hashes_only
):
    out = rewrite(merged.copy(tmp_path / "out"), change)
    if hashes_only:
        monkeypatch.setattr("sae_merge_method.verify.sources.folder_at_hand", lambda *_: None)
        assert said_by_hash in violations(out)[where]
    else:
        (out / "edit_report.json").unlink()
        assert said in violations(out)[where]


def test_swapped_layers_violate_every_tensor_of_both_and_no_other(tmp_path, merged):
    out = rewrite(merged.copy(tmp_path / "out"), swap_layers)
    assert {name.split(".")[2] for name in violations(out)} == {"1", "3"}
    assert len(violations(out)) == 26


def test_a_changed_alpha_is_caught_and_the_true_one_guessed(tmp_path, merged):
    out = merged.copy(tmp_path / "out")
    config = out / "mergekit_config.yml"
    config.write_text(config.read_text().replace("weight: 0.5", "weight: 0.4"))
    found = violations(out)
    assert len(found) == 26
    assert found[Q_PROJ].endswith("it looks like weight 0.5, the recipe says 0.4")
    assert "54 tensors have the hashes of edit_report.json" in verify(out).ledger.proved


def test_a_changed_gate_is_caught(tmp_path, merged):
    out = merged.copy(tmp_path / "out")
    config = out / "mergekit_config.yml"
    config.write_text(config.read_text().replace('"1, 3"', '"1, 2"'))
    found = violations(out)
    assert "has layers 1, 3 open, the recipe 1, 2" in found["edit_report.json"]
    assert {name.split(".")[2] for name in found if name.startswith("model.layers")} == {"2", "3"}


def test_a_forged_report_is_caught_by_its_sha256(tmp_path, merged):
    import hashlib

    out = merged.copy(tmp_path / "out")
    report = json.loads((out / "edit_report.json").read_text())
    entry = next(tensor for tensor in report["tensors"] if tensor["name"] == Q_PROJ)
    entry["sha256"] = hashlib.sha256(b"another").hexdigest()
    (out / "edit_report.json").write_text(json.dumps(report))
    assert "do not have the sha256" in violations(out)[Q_PROJ]


@pytest.mark.parametrize(
    ("file", "edit", "said"),
    [
        ("config.json", ('"hidden_size": 16', '"hidden_size": 32'), "says hidden_size 32"),
        ("config.json", ('"torch_dtype": "float32"', '"torch_dtype": "bfloat16"'), "says torch_dtype bfloat16"),
        ("config.json", ('"sliding_window": 32', '"sliding_window": 16'), "sliding_window is 16, in the base"),
        ("config.json", ('"eos_token_id": 1', '"auto_map": {"AutoModel": "x.y"}'), "auto_map is"),
        ("config.json", ('"num_attention_heads": 2', '"num_attention_heads": [1]'), "num_attention_heads is [1]"),
        ("config.json", ('"gemma3_text"', '["gemma3_text"]'), "model_type is"),
        ("tokenizer.json", ('"a": 0', '"b": 0'), "differs from the base's in model"),
    ],
)  # fmt: skip
def test_a_changed_companion_file_is_caught(tmp_path, merged, file, edit, said):
    out = merged.copy(tmp_path / "out")
    text = (out / file).read_text()
    assert edit[0] in text
    (out / file).write_text(text.replace(*edit))
    assert any(v.where == file and said in v.what for v in verify(out).ledger.violations)


def test_everything_is_read_in_small_pieces(tmp_path, merged, monkeypatch):
    sizes = []
    read = Streams.read
    monkeypatch.setattr("sae_merge_method.verify.expected.VALUES_AT_ONCE", 7)
    monkeypatch.setattr("sae_merge_method.verify.streams._BYTES_AT_ONCE", 30)
    monkeypatch.setattr(
        Streams, "read", lambda self, entry, first, size: sizes.append(size) or read(self, entry, first, size)
    )
    assert verify(merged.out).ledger.sound
    assert max(sizes) == 30
    out = rewrite(merged.copy(tmp_path / "out"), flip_one_bit(Q_PROJ))
    assert (
        "1 values differ from base + weight * (donor - base) (layer 1 is selected), the first is number 1"
        in (violations(out)[Q_PROJ])
    )


def test_weights_left_over_from_another_checkpoint_are_caught(tmp_path, merged):
    out = merged.copy(tmp_path / "out")
    shutil.copy(merged.donor / "model.safetensors", out / "model-00001-of-00002.safetensors")
    assert "left over" in violations(out)["model-00001-of-00002.safetensors"]


def test_without_its_models_a_checkpoint_is_held_against_its_hashes_and_that_is_said(tmp_path, merged):
    out = merged.copy(tmp_path / "out")
    config = out / "mergekit_config.yml"
    text = config.read_text().replace(str(merged.base), "./gone").replace(str(merged.donor), "./donor-gone")
    config.write_text(text)
    ledger = verify(out).ledger
    assert ledger.sound
    assert [line for line in ledger.unproved if "the base ./gone: it is not at hand" in line]
    assert "54 tensors have the hashes of edit_report.json" in ledger.proved
    named = verify(out, str(merged.base), [str(merged.donor)]).ledger
    assert named.sound and not named.unproved
    (out / "edit_report.json").unlink()
    base_only = verify(out, str(merged.base)).ledger
    assert base_only.sound and "the donor ./donor-gone: it is not at hand" in base_only.unproved[0]
    with pytest.raises(ArtifactError, match=r"no edit_report\.json, and its base \./gone is not at hand"):
        verify(out)


def test_plain_mergekit_output_is_proved_for_a_wider_donor_too(tmp_path, by_mergekit):
    base = tiny.gemma3_text(tmp_path / "base", 0, dtype=torch.bfloat16, shards=2)
    donor = tiny.gemma3_text(tmp_path / "donor", 1)
    out = by_mergekit(recipe_text(base, donor, weight="0.3", tail="dtype: bfloat16"))
    assert not (out / "edit_report.json").exists()
    ledger = verify(out).ledger
    assert not ledger.violations
    assert [line for line in ledger.proved if "inputs rounded to bfloat16 first, as mergekit-yaml" in line]
    # mergekit made a tokenizer up: this base has none.
    assert ledger.unproved == [
        "the tokenizer: the base has none to hold tokenizer.json, tokenizer_config.json against"
    ]


def test_plain_mergekit_output_that_widens_is_proved(tmp_path, by_mergekit):
    base = tiny.gemma3_text(tmp_path / "base", 0, dtype=torch.bfloat16)
    donor = tiny.gemma3_text(tmp_path / "donor", 1, dtype=torch.bfloat16)
    out = by_mergekit(recipe_text(base, donor, weight="0.3", tail="dtype: float32\nout_dtype: bfloat16"))
    assert verify(out).ledger.sound
    wide = by_mergekit(recipe_text(base, donor, weight="0.3", tail="dtype: float32"))
    ledger = verify(wide).ledger
    assert not ledger.violations
    assert [line for line in ledger.proved if "the base's values, rounded to float32" in line]


def test_a_tied_head_may_be_stored_or_not(tmp_path, merged):
    def store_head(tensors: tiny.Tensors) -> None:
        tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"].clone()

    out = merged.copy(tmp_path / "out")
    (out / "edit_report.json").unlink()
    assert not violations(rewrite(out, store_head))
    rewrite(out, flip_one_bit("lm_head.weight"))
    assert "the base does not" in violations(out)["lm_head.weight"]


@pytest.fixture(scope="module")
def cut(tmp_path_factory):
    """A merge by the scalpel, and the scene it was made of."""
    folder = tmp_path_factory.mktemp("scalpel")
    scene = scenes.build(folder)
    recipe = recipe_text(scene.base, scene.donor, f'layers: "1, 3", diagnosis: "{scene.diagnosis}", rank: 4')
    recipe = recipe.replace("sae_stethoscope", "sae_scalpel")
    run_recipe(recipe, "recipe.yml", folder / "cut", options={"quiet": True})
    return folder / "cut"


def test_the_scalpels_edits_are_computed_anew_too(tmp_path, cut):
    ledger = verify(cut).ledger
    assert ledger.sound and not ledger.unproved
    assert any("edited tensors: as sae_scalpel computes them" in line for line in ledger.proved)
    out = tmp_path / "out"
    shutil.copytree(cut, out)
    (out / "edit_report.json").unlink()

    def nudge(tensors: tiny.Tensors) -> None:
        tensors[Q_PROJ][2, 3] += 1e-3

    rewrite(out, nudge)
    assert [v.where for v in verify(out).ledger.violations] == [Q_PROJ]
    config = out / "mergekit_config.yml"
    config.write_text(config.read_text().replace("weight: 1.0", "weight: 0.9"))
    assert len(verify(out).ledger.violations) > 10


def test_the_scalpels_edits_are_not_claimed_to_be_proved_without_its_saes(tmp_path, cut):
    out = tmp_path / "out"
    shutil.copytree(cut, out)
    config = out / "mergekit_config.yml"
    recipe = re.sub(
        r'diagnosis: "[^"]*", rank: 4', 'features: "1: 3; 3: 4", sae: "./none"', config.read_text()
    )
    config.write_text(recipe)
    ledger = verify(out).ledger
    assert not ledger.violations
    assert ledger.unproved[0].startswith("the edits of sae_scalpel: ")
    assert "28 tensors outside the selected layers: the base's bytes" in ledger.proved


def test_a_gate_computed_from_a_diagnosis_that_is_gone_is_taken_from_the_report(tmp_path, merged):
    out = merged.copy(tmp_path / "out")
    config = out / "mergekit_config.yml"
    gone = f'diagnosis: "{tmp_path}/diagnosis.json", select: top_k=2'
    config.write_text(config.read_text().replace('layers: "1, 3"', gone))
    ledger = verify(out).ledger
    assert ledger.sound
    assert "that top_k=2 chooses the layers of edit_report.json" in ledger.unproved[0]


def test_what_cannot_be_audited_is_an_error_not_a_verdict(tmp_path, merged):
    with pytest.raises(UsageError, match="recipe has 1 donors"):
        verify(merged.out, donors=["a", "b"])
    with pytest.raises(ArtifactError, match="cannot read a recipe"):
        verify(merged.base)
    out = merged.copy(tmp_path / "out")
    short = tiny.gemma3_text(tmp_path / "short", 1, n_layers=2)
    with pytest.raises(MergeError, match="has no such tensor"):
        verify(out, donors=[str(short)])
    config = out / "mergekit_config.yml"
    config.write_text(config.read_text().replace("sae_stethoscope", "linear"))
    with pytest.raises(RecipeError):
        verify(out)


def test_the_command_ends_with_1_where_something_is_violated(tmp_path, merged):
    sound = CliRunner().invoke(command, [str(merged.out)])
    assert sound.exit_code == 0 and "VIOLATED" not in sound.output
    out = rewrite(merged.copy(tmp_path / "out"), flip_one_bit(Q_PROJ))
    broken = CliRunner().invoke(command, [str(out)])
    assert broken.exit_code == 1
    assert f"VIOLATED    {Q_PROJ}: 1 values differ" in broken.output


def test_the_arithmetic_agrees_with_the_merge_for_two_donors_filters_and_gradients(tmp_path, merged):
    second = tiny.gemma3_text(tmp_path / "second", seed=2)
    source = recipe_text(merged.base, merged.donor, 'layers: "0-3"', weight="[0, 0.9]")
    models = f"models:\n  - model: {second}\n    parameters: {{weight: [{{filter: mlp, value: 0.5}}, {{value: 0}}]}}\n"
    run_recipe(source.replace("models:\n", models), "r", tmp_path / "out", options={"quiet": True})
    ledger = verify(tmp_path / "out").ledger
    assert ledger.sound and not ledger.unproved


def test_the_vision_tower_of_a_multimodal_model_is_proved_to_be_the_bases(tmp_path):
    base = tiny.gemma3_multimodal(tmp_path / "base", 0)
    donor = tiny.gemma3_multimodal(tmp_path / "donor", 1)
    run_recipe(recipe_text(base, donor), "r", tmp_path / "out", options={"quiet": True})
    assert verify(tmp_path / "out").ledger.sound
    name = "vision_tower.vision_model.encoder.layers.1.mlp.fc1.weight"
    rewrite(tmp_path / "out", flip_one_bit(name))
    assert "outside the layers" in violations(tmp_path / "out")[name]
