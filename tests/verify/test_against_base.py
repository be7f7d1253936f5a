"""A sound checkpoint is proved, and every changed tensor is caught by name."""

import re
import shutil

import pytest
import torch

from sae_merge_method.verify import sources
from sae_merge_method.verify.audit import verify
from tests import tiny
from tests.recipes import recipe_text, run_recipe
from tests.verify.conftest import CLOSED, Q_PROJ, flip_one_bit, rewrite, swap_layers, violations

NORM = "model.norm.weight"


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
        monkeypatch.setattr(sources, "folder_at_hand", lambda *_: None)
        assert said_by_hash in violations(out)[where]
    else:
        (out / "edit_report.json").unlink()
        assert said in violations(out)[where]


def test_swapped_layers_violate_every_tensor_of_both_and_no_other(tmp_path, merged):
    out = rewrite(merged.copy(tmp_path / "out"), swap_layers)
    assert {name.split(".")[2] for name in violations(out)} == {"1", "3"}
    assert len(violations(out)) == 26


def test_the_vision_tower_of_a_multimodal_model_is_proved_to_be_the_bases(tmp_path, merged_multimodal):
    report = verify(merged_multimodal.out)
    assert report.sound and not report.unproved
    name = "vision_tower.vision_model.encoder.layers.1.mlp.fc1.weight"
    out = rewrite(merged_multimodal.copy(tmp_path / "out"), flip_one_bit(name))
    assert "outside the layers" in violations(out)[name]


def test_plain_mergekit_output_is_proved_for_a_wider_donor_too(tmp_path, by_mergekit):
    base = tiny.gemma3_text(tmp_path / "base", 0, dtype=torch.bfloat16, shards=2)
    donor = tiny.gemma3_text(tmp_path / "donor", 1)
    out = by_mergekit(recipe_text(base, donor, weight="0.3", tail="dtype: bfloat16"))
    assert not (out / "edit_report.json").exists()
    report = verify(out)
    assert not report.violated
    assert [line for line in report.proved if "inputs rounded to bfloat16 first, as mergekit-yaml" in line]
    # mergekit made a tokenizer up: this base has none.
    assert report.unproved == (
        "the tokenizer: the base has none to hold tokenizer.json, tokenizer_config.json against",
    )


def test_plain_mergekit_output_that_widens_is_proved(tmp_path, by_mergekit):
    base = tiny.gemma3_text(tmp_path / "base", 0, dtype=torch.bfloat16)
    donor = tiny.gemma3_text(tmp_path / "donor", 1, dtype=torch.bfloat16)
    out = by_mergekit(recipe_text(base, donor, weight="0.3", tail="dtype: float32\nout_dtype: bfloat16"))
    assert verify(out).sound
    wide = by_mergekit(recipe_text(base, donor, weight="0.3", tail="dtype: float32"))
    report = verify(wide)
    assert not report.violated
    assert [line for line in report.proved if "the base's values, widened to float32" in line]


def test_a_narrower_dtype_on_the_way_is_proved_by_each_host_and_not_of_a_mixture(
    tmp_path, merged, by_mergekit
):
    source = recipe_text(merged.base, merged.donor, tail="dtype: bfloat16\nout_dtype: float32")
    run_recipe(source, tmp_path / "ours")
    (tmp_path / "ours" / "edit_report.json").unlink()
    assert verify(tmp_path / "ours").sound
    stock = by_mergekit(source)
    report = verify(stock)
    assert not report.violated
    assert [line for line in report.proved if "inputs rounded to bfloat16 first, as mergekit-yaml" in line]
    ours = tiny.load_tensors(tmp_path / "ours")
    rewrite(stock, lambda tensors: tensors.update({Q_PROJ: ours[Q_PROJ]}))
    assert violations(stock).keys() == {Q_PROJ}


def test_the_arithmetic_agrees_with_the_merge_for_two_donors_filters_and_gradients(tmp_path, merged):
    second = tiny.gemma3_text(tmp_path / "second", seed=2)
    source = recipe_text(merged.base, merged.donor, 'layers: "0-3"', weight="[0, 0.9]")
    models = f"models:\n  - model: {second}\n    parameters: {{weight: [{{filter: mlp, value: 0.5}}, {{value: 0}}]}}\n"
    run_recipe(source.replace("models:\n", models), tmp_path / "out")
    report = verify(tmp_path / "out")
    assert report.sound and not report.unproved


def test_the_scalpels_edits_are_computed_anew_too(tmp_path, cut):
    report = verify(cut)
    assert report.sound and not report.unproved
    assert any("edited tensors: as sae_scalpel computes them" in line for line in report.proved)
    out = tmp_path / "out"
    shutil.copytree(cut, out)
    (out / "edit_report.json").unlink()

    def nudge(tensors: tiny.Tensors) -> None:
        tensors[Q_PROJ][2, 3] += 1e-3

    rewrite(out, nudge)
    assert [v.where for v in verify(out).violated] == [Q_PROJ]
    config = out / "mergekit_config.yml"
    config.write_text(config.read_text().replace("weight: 1.0", "weight: 0.9"))
    assert len(verify(out).violated) > 10


def test_the_scalpels_edits_are_not_claimed_to_be_proved_without_its_saes(tmp_path, cut):
    out = tmp_path / "out"
    shutil.copytree(cut, out)
    config = out / "mergekit_config.yml"
    config.write_text(re.sub(r'diagnosis: "[^"]*"', 'diagnosis: "./none"', config.read_text()))
    report = verify(out)
    assert not report.violated
    assert report.unproved[0].startswith("the edits of sae_scalpel: ")
    assert "28 tensors outside the selected layers: the base's bytes" in report.proved
