"""A merge method is a row of one table: nothing else has to know of it."""

import inspect
from typing import Annotated

import numpy as np
import pytest
from click.testing import CliRunner
from pydantic import Field

from sae_merge_method.artifacts.method_parameters import Number
from sae_merge_method.artifacts.recipe import Gate, RecipeText, RoundingKeys
from sae_merge_method.artifacts.schema import Record
from sae_merge_method.cli.recipe import command
from sae_merge_method.errors import RecipeError
from sae_merge_method.merge.methods import mergekit_methods
from sae_merge_method.publish.sections import edit_section
from sae_merge_method.recipe.check import check_recipe
from sae_merge_method.recipe.merged_folder import open_merged
from sae_merge_method.recipe.methods import METHODS, MergeMethod, parse_recipe
from sae_merge_method.verify.audit import verify
from tests import tiny
from tests.recipes import recipe_text, run_recipe


class LargestParameters(Record):
    """``largest``: the entries of the task vector that are largest."""

    threshold: Annotated[Number, Field(ge=0)] = 0.0
    """Least absolute value of what is kept."""


LARGEST = MergeMethod(
    title="Largest entries",
    description="the largest entries of the task vector",
    effect="Their tensors receive the largest entries of weight * (donor - base)",
    formula="the base plus the largest entries of the task vector",
    parameters=LargestParameters,
    filter=lambda parameters, layers: lambda name, tau: np.where(abs(tau) < parameters.threshold, 0, tau),
    needs="everything that the largest entries need",
)


@pytest.fixture
def largest(monkeypatch) -> None:
    monkeypatch.setitem(METHODS, "largest", LARGEST)


def source(models, threshold="0.02") -> str:
    text = recipe_text(models.base, models.donor, f'layers: "1, 3", threshold: {threshold}')
    return text.replace("sae_stethoscope", "largest")


@pytest.mark.usefixtures("largest")
@pytest.mark.parametrize("engine", ["direct", "mergekit"])
def test_a_new_method_is_merged_checked_verified_and_described(tmp_path, models, engine):
    checked = check_recipe(RecipeText(source(models), "r"))
    assert not checked.faults
    assert "everything that the largest entries need is there" in [
        finding.text for finding in checked.findings
    ]
    report = run_recipe(source(models), tmp_path / "out", engine=engine)
    assert report.merge_method == "largest"
    before, donor, after = (
        tiny.load_tensors(folder) for folder in (models.base, models.donor, tmp_path / "out")
    )
    name = "model.layers.1.mlp.up_proj.weight"
    tau = donor[name] - before[name]
    assert tiny.same_bytes(after[name], before[name] + tau.where(tau.abs() >= 0.02, 0.0))
    assert tiny.edited_layers(tmp_path / "out", models.base) == {1, 3}
    audit = verify(tmp_path / "out")
    assert audit.sound
    assert any("edited tensors: as largest computes them" in line for line in audit.proved)
    merged = open_merged(tmp_path / "out")
    assert "became the base plus the largest entries of the task vector, rounded once." in edit_section(
        merged
    )
    if engine == "direct":
        card = (tmp_path / "out" / "README.md").read_text()
        assert f"using the [Largest entries]({LARGEST.reference}) merge method" in card


@pytest.mark.usefixtures("largest")
def test_its_parameters_are_held_against_its_schema(models):
    with pytest.raises(RecipeError, match=r"parameters\.threshold: .*greater than or equal to 0"):
        parse_recipe(source(models, "-1"), "recipe.yml")
    runs = "is a `lines` recipe; sae-merge runs sae_stethoscope and sae_scalpel and largest"
    with pytest.raises(RecipeError, match=runs):
        parse_recipe(source(models).replace("largest", "lines"), "recipe.yml")


@pytest.mark.usefixtures("largest")
def test_it_is_in_the_help_of_the_command():
    shown = CliRunner().invoke(command, ["--help"]).output
    assert "largest" in shown and LARGEST.description in shown


@pytest.mark.parametrize("name", METHODS)
def test_mergekit_takes_the_gate_the_weight_and_the_parameters_of_the_row(name):
    (method,) = [method for method in mergekit_methods() if method.spec.name == name]
    own = METHODS[name].parameters.model_fields
    assert {spec.name for spec in method.spec.parameters} == {
        "weight",
        *Gate.model_fields,
        *RoundingKeys.model_fields,
        *own,
    }
    for spec in method.spec.parameters:
        if spec.name in own:
            assert spec.default == own[spec.name].default
    assert inspect.signature(method.implementation).parameters["weight"].default == 1.0


def test_the_rows_can_be_read_alone():
    for row in METHODS.values():
        assert all((row.title, row.description, row.effect, row.formula, row.reference))
        assert row.filter is None or row.needs
        assert all(field.description for field in row.parameters.model_fields.values())


@pytest.mark.parametrize("method", ["ties", "dare_linear", "linear", "slerp"])
def test_a_recipe_of_another_method_is_named_before_any_of_its_keys(method):
    text = f"merge_method: {method}\nmodels: [{{model: a, parameters: {{density: 0.5}}}}]\n"
    with pytest.raises(
        RecipeError, match=f"r is a `{method}` recipe; sae-merge runs sae_stethoscope and sae_scalpel"
    ):
        parse_recipe(text, "r")
