"""What a card says of an edit is what the dtypes made of it, as an audit says it."""

import pytest
import torch

from sae_merge_method.publish.sections import edit_section
from sae_merge_method.recipe.merged_folder import open_merged
from sae_merge_method.verify.audit import verify
from tests import tiny
from tests.recipes import recipe_text, run_recipe


@pytest.mark.parametrize(
    ("stored", "dtype", "written", "kept"),
    [
        (
            torch.bfloat16,
            "float32",
            "written in float32, rounded to no narrower type on the way",
            "the base's values, widened to float32",
        ),
        (torch.float32, "bfloat16", "rounded once", "the base's values, rounded to bfloat16"),
        (torch.float32, "float32", "rounded once", "the base's, byte for byte"),
    ],
)
def test_a_card_says_what_a_dtype_made_of_the_tensors_that_were_not_edited(
    tmp_path, stored, dtype, written, kept
):
    base, donor = (tiny.gemma3_text(tmp_path / str(n), n, dtype=stored) for n in (0, 1))
    run_recipe(recipe_text(base, donor, tail=f"dtype: {dtype}"), tmp_path / "out")
    words = edit_section(open_merged(tmp_path / "out"))
    assert f"computed in float32, {written}. All others are {kept}. There is" in words
    assert any(kept.partition(",")[0] in line for line in verify(tmp_path / "out").proved)
    (tmp_path / "out" / "edit_report.json").unlink()
    assert (
        f"All others are the base's, written in {dtype}.\n"
        in edit_section(open_merged(tmp_path / "out")) + "\n"
    )
