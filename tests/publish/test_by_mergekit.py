"""What a card says of plain mergekit is what mergekit does with the recipe."""

from pathlib import Path

import pytest
import torch
import yaml

from sae_merge_method.errors import SaeMergeError
from sae_merge_method.publish.by_mergekit import mergekit_words
from sae_merge_method.publish.card import write_card
from sae_merge_method.publish.settings import CardSettings
from sae_merge_method.recipe.merged_folder import open_merged
from tests import tiny
from tests.adapters import save_lora
from tests.diagnoses import save_diagnosis
from tests.merged import Merged, rename_models
from tests.mergekit import plain_mergekit
from tests.recipes import recipe_text, run_recipe

ORDINARY = "`mergekit_config.yml` is an ordinary mergekit recipe: with the package installed, "
BY_US = "`mergekit_config.yml` is a recipe for `sae-merge merge mergekit_config.yml rebuilt/` alone; "


def merged_words(text: str, out: Path) -> str:
    run_recipe(text, out)
    return mergekit_words(open_merged(out))


def test_a_plain_recipe_runs_by_mergekit_too(tmp_path: Path, merged: Merged) -> None:
    words = f"{ORDINARY}`mergekit-yaml mergekit_config.yml rebuilt/` runs it too."
    out = merged.copy(tmp_path / "out")
    assert mergekit_words(open_merged(out)) == words
    rename_models(out, "google/gemma-3-4b-it", "someone/maths@abc")  # not at hand
    assert mergekit_words(open_merged(out)) == words


def test_an_adapter_needs_mergekits_folder_for_it(tmp_path: Path, merged: Merged) -> None:
    adapter = save_lora(tmp_path / "lora", (1, 3))
    text = recipe_text(merged.base, Path(f"{merged.base}+{adapter}"))
    words = merged_words(text, tmp_path / "out")
    command = "`mergekit-yaml mergekit_config.yml rebuilt/ --lora-merge-cache FOLDER`"
    assert words.startswith(f"{ORDINARY}{command} runs it too, merging the adapter by peft, ")
    with pytest.raises(Exception, match="Need to specify cache dir to merge adapters"):
        plain_mergekit(text, tmp_path / "without")
    made = plain_mergekit(text, tmp_path / "with", lora_merge_cache=str(tmp_path / "cache"))
    assert made.keys() == tiny.load_tensors(tmp_path / "out").keys()


def test_a_wider_donor_that_mergekit_rounds_first_is_named_with_what_to_write(tmp_path: Path) -> None:
    base, donor = (
        tiny.gemma3_text(tmp_path / "base", 0, dtype=torch.bfloat16),
        tiny.gemma3_text(tmp_path / "donor", 1),
    )
    text = recipe_text(base, donor, weight="0.7", tail="dtype: bfloat16")
    words = merged_words(text, tmp_path / "out")
    assert words == (
        f"{ORDINARY}`mergekit-yaml mergekit_config.yml rebuilt/` runs it too, rounding what is stored in float32 "
        "to bfloat16 before the edit: bytes may differ (write `dtype: float32` and `out_dtype: bfloat16` for one "
        "rounding, at the end)."
    )
    ours = tiny.load_tensors(tmp_path / "out")
    for tail, is_same in (("dtype: bfloat16", False), ("dtype: float32\nout_dtype: bfloat16", True)):
        made = plain_mergekit(recipe_text(base, donor, weight="0.7", tail=tail), tmp_path / tail[7:11])
        assert all(tiny.same_bytes(ours[name], made[name]) for name in ours) == is_same


@pytest.mark.parametrize("tail", ["", "dtype: float32\nout_dtype: bfloat16"])
def test_where_mergekit_rounds_once_too_nothing_is_said_of_bytes(tmp_path: Path, tail: str) -> None:
    base, donor = (
        tiny.gemma3_text(tmp_path / "base", 0, dtype=torch.bfloat16),
        tiny.gemma3_text(tmp_path / "donor", 1),
    )
    assert merged_words(recipe_text(base, donor, tail=tail), tmp_path / "out").endswith(" runs it too.")


def test_of_a_donor_that_is_not_at_hand_nothing_is_said_of_bytes(tmp_path: Path, merged: Merged) -> None:
    base, donor = (
        tiny.gemma3_text(tmp_path / "base", 0, dtype=torch.bfloat16),
        tiny.gemma3_text(tmp_path / "donor", 1),
    )
    run_recipe(recipe_text(base, donor, tail="dtype: bfloat16"), tmp_path / "out")
    rename_models(tmp_path / "out", str(base), "someone/maths")
    assert mergekit_words(open_merged(tmp_path / "out")).endswith(" runs it too.")


def test_all_layers_run_by_mergekit_too(tmp_path: Path, merged: Merged) -> None:
    text = recipe_text(merged.base, merged.donor, 'layers: "all"')
    words = merged_words(text, tmp_path / "out")
    assert words == f"{ORDINARY}`mergekit-yaml mergekit_config.yml rebuilt/` runs it too."
    made, ours = plain_mergekit(text, tmp_path / "plain"), tiny.load_tensors(tmp_path / "out")
    assert all(tiny.same_bytes(ours[name], made[name]) for name in ours)


def test_all_layers_beside_a_rule_are_for_our_own_command(tmp_path: Path, merged: Merged) -> None:
    diagnosis = save_diagnosis(tmp_path / "diagnosis", merged.base, {0: 0.1, 1: 0.9, 2: 0.2, 3: 0.8})
    text = recipe_text(merged.base, merged.donor, f'layers: "all", diagnosis: {diagnosis}, select: top_k=4')
    assert merged_words(text, tmp_path / "out") == (
        f"{BY_US}`mergekit-yaml` cannot run it: it does not say how many layers the base has, "
        'which select: top_k=4 with layers: "all" needs.'
    )
    with pytest.raises(SaeMergeError, match="does not say how many layers the base has"):
        plain_mergekit(text, tmp_path / "plain")


def test_a_folder_that_mergekit_would_read_a_revision_in_is_named(tmp_path: Path, merged: Merged) -> None:
    base = merged.copy_base(tmp_path / "base@1")
    words = merged_words(recipe_text(base, merged.donor), tmp_path / "out")
    assert words.startswith(f"{BY_US}`mergekit-yaml` cannot run it: it takes what follows an @ or + in ")


def test_a_donor_of_another_layout_is_named(tmp_path: Path) -> None:
    base, donor = tiny.gemma3_text(tmp_path / "base", 0), tiny.gemma3_multimodal(tmp_path / "donor", 1)
    words = merged_words(recipe_text(base, donor), tmp_path / "out")
    assert words.startswith(f"{BY_US}`mergekit-yaml` cannot run it: the donor's layout (")


def test_what_wrappers_left_in_an_adapter_is_named(tmp_path: Path, merged: Merged) -> None:
    adapter = save_lora(tmp_path / "lora", (1, 3), "_orig_mod.mlp.up_proj")
    words = merged_words(recipe_text(merged.base, Path(f"{merged.base}+{adapter}")), tmp_path / "out")
    assert words.startswith(f"{BY_US}`mergekit-yaml` cannot run it: of its adapter, ")


def test_a_diagnosis_has_to_lie_where_the_recipe_names_it(tmp_path: Path, merged: Merged) -> None:
    diagnosis = save_diagnosis(tmp_path / "diagnosis", merged.base, {0: 0.1, 1: 0.9, 2: 0.2, 3: 0.8})
    gate = yaml.safe_dump({"diagnosis": str(diagnosis), "select": "top_k=2"}, default_flow_style=True)
    words = merged_words(recipe_text(merged.base, merged.donor, gate.strip()[1:-1]), tmp_path / "out")
    assert words.endswith(f" runs it too, where `{diagnosis}` lies.")


def test_a_card_says_it_below_the_commands(tmp_path: Path, merged: Merged) -> None:
    base = merged.copy_base(tmp_path / "base@1")
    run_recipe(recipe_text(base, merged.donor), tmp_path / "out")
    write_card(tmp_path / "out", CardSettings(license="mit"))
    card = (tmp_path / "out" / "README.md").read_text()
    assert f"bit for bit. {BY_US}" in card and "runs it too" not in card
