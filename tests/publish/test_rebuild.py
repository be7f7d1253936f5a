"""A model is made again from its own folder, and any byte that differs is named."""

import pytest
import torch
from click.testing import CliRunner

from sae_merge_method.artifacts.recipe import RecipeText
from sae_merge_method.cli.rebuild import command
from sae_merge_method.errors import UsageError
from sae_merge_method.merge.in_place import edit_in_place
from sae_merge_method.publish.card import write_card
from sae_merge_method.publish.rebuild import find_original
from tests import tiny
from tests.adapters import save_lora
from tests.merged import rename_models
from tests.mergekit import plain_mergekit
from tests.publish.test_card import MIT
from tests.recipes import recipe_text, run_recipe
from tests.verify.conftest import flip_one_bit, rewrite
from tests.verify.test_against_report import forget_hashes


def rebuild(*words):
    return CliRunner().invoke(command, [str(word) for word in words])


def test_the_same_recipe_gives_the_same_bytes(tmp_path, merged):
    result = rebuild(merged.out, tmp_path / "again")
    assert result.exit_code == 0, result.output
    assert f"54 of 54 tensors have the bytes of {merged.out}" in result.output
    assert (tmp_path / "again" / "edit_report.json").read_bytes() == (
        merged.out / "edit_report.json"
    ).read_bytes()


def test_what_was_rounded_at_random_is_rounded_the_same_again(tmp_path):
    base, donor = (tiny.gemma3_text(tmp_path / str(n), n, dtype=torch.bfloat16) for n in (0, 1))
    text = recipe_text(base, donor, 'layers: "1, 3", rounding: stochastic, rounding_seed: 3', "0.01")
    for out, recipe in (("out", text), ("nearest", text.replace("stochastic, rounding_seed: 3", "nearest"))):
        run_recipe(recipe, tmp_path / out)
    write_card(tmp_path / "out", MIT)
    result = rebuild(tmp_path / "out", tmp_path / "again")
    assert result.exit_code == 0, result.output
    assert "54 of 54 tensors" in result.output
    first, again, nearest = (
        (tmp_path / out / "model.safetensors").read_bytes() for out in ("out", "again", "nearest")
    )
    assert first == again != nearest


def test_what_adapters_were_rounded_to_is_done_again(tmp_path):
    base = tiny.gemma3_text(tmp_path / "base", 0, dtype=torch.bfloat16)
    text = recipe_text(base, f"{base}+{save_lora(tmp_path / 'lora', [1, 3])}", weight="0.7")
    run_recipe(text, tmp_path / "out", options={"lora_merge_dtype": "bfloat16"})
    result = rebuild(tmp_path / "out", tmp_path / "again")
    assert result.exit_code == 0, result.output
    assert "54 of 54 tensors" in result.output


def test_where_mergekit_yaml_rounds_a_wider_donor_first_that_is_named_as_the_reason(tmp_path):
    base = tiny.gemma3_text(tmp_path / "base", 0, dtype=torch.bfloat16)
    donor, reason = tiny.gemma3_text(tmp_path / "donor", 1), "rounds what is stored in float32 to bfloat16"
    for dtype in ("dtype: bfloat16", "dtype: float32\nout_dtype: bfloat16"):
        out = tmp_path / dtype[7:15]
        plain_mergekit(recipe_text(base, donor, weight="0.7", tail=dtype), out)
        result = rebuild(out, tmp_path / "again", "--overwrite")
        assert (result.exit_code, reason in result.output) == (
            (1, True) if "out" not in dtype else (0, False)
        )
    run_recipe(recipe_text(base, donor, weight="0.7", tail="dtype: bfloat16"), tmp_path / "ours")
    rewrite(tmp_path / "ours", flip_one_bit("model.norm.weight"))
    assert reason not in rebuild(tmp_path / "ours", tmp_path / "again", "--overwrite").output


def test_weights_are_read_where_the_report_does_not_say_every_hash(tmp_path, merged):
    out = merged.copy(tmp_path / "out")
    forget_hashes(out)
    result = rebuild(out, tmp_path / "again")
    assert result.exit_code == 0, result.output
    assert f"54 of 54 tensors have the bytes of {out}" in result.output


def test_weights_that_were_changed_after_the_merge_are_seen_whatever_the_report_says(tmp_path, merged):
    out = merged.copy(tmp_path / "out")
    name = "model.norm.weight"
    rewrite(out, flip_one_bit(name))
    result = rebuild(out, tmp_path / "again")
    assert result.exit_code == 1
    assert f"53 of 54 tensors have the bytes of {out}" in result.output
    assert f"different: {name}" in result.output
    result = rebuild(out, out, "--overwrite")  # what is replaced was read before
    assert result.exit_code == 1 and f"different: {name}" in result.output


def test_an_edit_in_place_is_made_again_from_a_base_that_is_not_the_edited_model(tmp_path, merged):
    folder = merged.copy_base(tmp_path / "model")
    text = recipe_text(folder, merged.donor, weight="0.5")
    edit_in_place(RecipeText(text, "recipe.yml"), options={"quiet": True})
    for base in ((), ("--base", folder)):
        result = rebuild(folder, tmp_path / "again", *base)
        assert result.exit_code == 1 and isinstance(result.exception, UsageError)
        assert "name the model that it was made from with --base, or run 'sae-merge undo" in str(
            result.exception
        )
        assert not (tmp_path / "again").exists()
    result = rebuild(folder, tmp_path / "again", "--base", merged.base)
    assert result.exit_code == 0, result.output
    assert f"54 of 54 tensors have the bytes of {folder}" in result.output


def test_a_folder_without_its_weights_is_held_against_its_report_which_is_said(tmp_path, merged):
    out = merged.copy(tmp_path / "out")
    (out / "model.safetensors").unlink()
    result = rebuild(out, tmp_path / "again")
    assert result.exit_code == 0, result.output
    assert f"54 of 54 tensors have the hashes in the edit_report.json of {out}" in result.output


def test_a_donor_that_changed_meanwhile_is_seen_tensor_by_tensor(tmp_path, merged):
    name = "model.layers.3.mlp.up_proj.weight"

    def nudge(tensors: tiny.Tensors) -> None:
        tensors[name][0, 0] += 1

    donor = tiny.gemma3_text(tmp_path / "donor", 1, change=nudge)
    result = rebuild(merged.out, tmp_path / "again", "--donor", donor)
    assert result.exit_code == 1
    assert f"recipe: {donor} in place of {merged.donor}" in result.output
    assert "53 of 54 tensors" in result.output
    assert f"different: {name}" in result.output


def test_models_that_lie_elsewhere_are_given(tmp_path, merged):
    out = merged.copy(tmp_path / "out")
    rename_models(out, "./gone-base", "./gone-donor")
    result = rebuild(out, tmp_path / "again", "--base", merged.base, "--donor", merged.donor)
    assert result.exit_code == 0, result.output
    with pytest.raises(UsageError, match="recipe has 1 donors"):
        find_original(str(out), donors=["a", "b"])


def test_layers_come_from_the_report_where_the_diagnosis_did_not_come_along(tmp_path, merged):
    out = merged.copy(tmp_path / "out")
    config = out / "mergekit_config.yml"
    config.write_text(
        config.read_text().replace('layers: "1, 3"', 'diagnosis: "./gone.json", select: top_k=2')
    )
    result = rebuild(out, tmp_path / "again")
    assert result.exit_code == 0, result.output
    assert 'recipe: layers "1, 3" of edit_report.json in place of ./gone.json' in result.output


def test_plain_mergekit_output_is_compared_by_its_weights(tmp_path, merged, by_mergekit):
    plain = by_mergekit(recipe_text(merged.base, merged.donor, weight="0.5"))
    result = rebuild(plain, tmp_path / "again")
    assert result.exit_code == 0, result.output
    assert f"54 of 54 tensors have the bytes of {plain}" in result.output
