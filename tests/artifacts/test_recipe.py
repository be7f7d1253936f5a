"""A recipe's YAML is read strictly: what mergekit would pass over in silence is an error."""

import pytest

from sae_merge_method.artifacts.recipe import read_recipe_text, read_yaml
from sae_merge_method.errors import RecipeError

RECIPE = """\
merge_method: sae_stethoscope
base_model: ./base
models:
  - model: ./donor
parameters: {layers: "1"}
"""


def test_the_three_forms_exclude_each_other():
    assert read_yaml(RECIPE, "r").models is not None
    with pytest.raises(RecipeError, match="expected exactly one of models, slices, modules"):
        read_yaml(RECIPE + "slices: [{sources: [{model: ./base, layer_range: [0, 4]}]}]\n", "r")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("? [a, b]\n: 1\n", "expected a plain key"),
        (RECIPE + "base_model: ./other\n", "the key 'base_model' stands here twice"),
        (RECIPE + "merge_methods: x\n", "merge_methods: unknown key"),
        (
            RECIPE.replace("- model: ./donor", "- model: ./donor\n    weight: 1"),
            "models.0.weight: unknown key",
        ),
        (RECIPE.replace('"1"', "[1, 3]"), "parameters.layers: expected one quoted string"),
        (RECIPE.replace('"1"', "3"), "parameters.layers: expected one quoted string"),
        (RECIPE.replace("}", ", weight: heavy}"), "parameters.weight: expected a number, a list of numbers"),
        (RECIPE + "dtype: int8\n", "dtype: Input should be 'float32'"),
        (RECIPE + "tokenizer_source: union\n", "tokenizer_source: Input should be 'base'"),
        ("just words", "expected a mergekit recipe at r, got str"),
        ("a: [", "r is not valid YAML"),
    ],
)
def test_what_would_be_passed_over_is_an_error(text, message):
    with pytest.raises(RecipeError, match=message):
        read_yaml(text, "r")


def test_a_byte_order_mark_is_no_part_of_a_recipe(tmp_path):
    (tmp_path / "r.yml").write_bytes(b"\xef\xbb\xbfmerge_method: x\n")
    assert read_recipe_text(tmp_path / "r.yml") == "merge_method: x\n"
