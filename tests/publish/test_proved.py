"""A card links what was proved of the weights beside it, whether or not a report says their hash."""

from pathlib import Path

import pytest

from sae_merge_method.artifacts.recipe import RecipeText
from sae_merge_method.merge.in_place import edit_in_place
from sae_merge_method.publish.card import write_card
from sae_merge_method.publish.settings import CardSettings
from sae_merge_method.reports.markdown import plain
from sae_merge_method.verify.audit import verify
from tests.merged import Merged, rename_models
from tests.recipes import recipe_text

MIT = CardSettings(license="mit", repo_id="me/maths")


@pytest.fixture(params=["mergekit", "in place"])
def unhashed(request: pytest.FixtureRequest, tmp_path: Path, merged: Merged) -> Path:
    """A folder whose result no report says the hash of."""
    if request.param == "mergekit":
        by_mergekit = request.getfixturevalue("by_mergekit")
        return Path(by_mergekit(recipe_text(merged.base, merged.donor, weight="0.5")))
    return edited_in_place(tmp_path / "model", merged)


def edited_in_place(folder: Path, merged: Merged) -> Path:
    merged.copy_base(folder)
    recipe = recipe_text(folder, merged.donor, weight="0.5")
    edit_in_place(RecipeText(recipe, "recipe.yml"), options={"quiet": True})
    return folder


def proved(folder: Path) -> bool:
    return "## What was proved" in (folder / "README.md").read_text()


def test_a_statement_is_linked_where_its_files_are_the_folders(
    unhashed: Path, caplog: pytest.LogCaptureFixture
) -> None:
    verify(unhashed, statement=unhashed / "out.intoto.json")
    write_card(unhashed, MIT)
    assert proved(unhashed) and "is not linked" not in caplog.text
    weights = unhashed / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    write_card(unhashed, MIT)
    assert not proved(unhashed)
    assert "out.intoto.json is not linked: it is of other weight files than" in caplog.text


def test_what_an_edit_in_place_keeps_of_the_base_is_not_for_the_hub(
    tmp_path: Path, merged: Merged, caplog: pytest.LogCaptureFixture
) -> None:
    write_card(merged.copy(tmp_path / "out"), MIT)
    assert "--exclude" not in caplog.text
    folder = edited_in_place(tmp_path / "model", merged)
    write_card(folder, MIT)
    assert f'hf upload me/maths {folder} --exclude ".sae-merge-journal/*"' in caplog.text


def test_what_a_statement_does_not_prove_is_shown_beside_what_it_does(tmp_path: Path, merged: Merged) -> None:
    out = merged.copy(tmp_path / "out")
    verify(out, statement=out / "out.intoto.json")
    write_card(out, MIT)
    assert "Not proved" not in (out / "README.md").read_text()
    rename_models(out, str(merged.base), "./gone-donor")
    found = verify(out, statement=out / "out.intoto.json")
    assert found.sound and any("./gone-donor" in line for line in found.unproved)
    write_card(out, MIT)
    shown = (out / "README.md").read_text().partition("## What was proved")[2].partition("## Rebuild")[0]
    assert proved(out) and "edited tensors: base + weight" not in shown
    lines = "\n".join(f"- {plain(line)}" for line in found.unproved)
    assert f"\n\n**Not proved** by it:\n\n{lines}\n" in shown
