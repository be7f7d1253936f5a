"""A donor that is the base, or no kin of it, is not wrong, but is said."""

import shutil
from pathlib import Path

import pytest

from sae_merge_method.artifacts.recipe import RecipeText
from sae_merge_method.merge.preview import preview
from sae_merge_method.recipe.check import check_recipe
from tests import tiny
from tests.recipes import recipe_text, run_recipe


def tuned(folder: Path, step: float) -> Path:
    """A fine-tune of the base ``tiny.gemma3_text(..., 0)``: each matrix a step away."""
    other = tiny.text_tensors(5)

    def change(tensors: tiny.Tensors) -> None:
        for name in tensors:
            tensors[name] += step * other[name]

    return tiny.gemma3_text(folder, 0, change=change)


@pytest.fixture(params=["merge", "dry run", "recipe check"])
def oddities(request, tmp_path, caplog):
    """What a command says about a recipe's donors."""

    def run(text: str) -> str:
        if request.param == "merge":
            run_recipe(text, tmp_path / "out")
        elif request.param == "dry run":
            preview(RecipeText(text, "r"), options={"quiet": True})
        else:
            checked = check_recipe(RecipeText(text, "r"))
            assert not checked.faults
            return "\n".join(finding.text for finding in checked.findings if finding.verdict == "odd")
        return caplog.text

    return run


def test_a_donor_that_is_the_base_makes_the_result_the_base(models, tmp_path, oddities):
    same = Path(shutil.copytree(models.base, tmp_path / "same"))
    said = oddities(recipe_text(models.base, same))
    assert f"the task vector of {same} is zero in layers 1, 3" in said
    assert "the result is the base" in said


def test_an_unrelated_donor_is_told_by_its_relative_norm(models, oddities):
    said = oddities(recipe_text(models.base, models.donor))
    assert f"the task vector of {models.donor} in layers 1, 3 has 1.4" in said


def test_a_fine_tune_is_nothing_odd(models, tmp_path, oddities):
    assert oddities(recipe_text(models.base, tuned(tmp_path / "tuned", 0.05))) == ""
