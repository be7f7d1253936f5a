"""Edits by every method and by plain mergekit are computed anew."""

import re
import shutil

import torch

from sae_merge_method.merge.run import run_recipe
from sae_merge_method.verify.audit import verify
from tests import tiny
from tests.recipes import recipe_text
from tests.verify.conftest import Q_PROJ, rewrite


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
    assert [line for line in report.proved if "the base's values, rounded to float32" in line]


def test_the_arithmetic_agrees_with_the_merge_for_two_donors_filters_and_gradients(tmp_path, merged):
    second = tiny.gemma3_text(tmp_path / "second", seed=2)
    source = recipe_text(merged.base, merged.donor, 'layers: "0-3"', weight="[0, 0.9]")
    models = f"models:\n  - model: {second}\n    parameters: {{weight: [{{filter: mlp, value: 0.5}}, {{value: 0}}]}}\n"
    run_recipe(source.replace("models:\n", models), "r", tmp_path / "out", options={"quiet": True})
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
