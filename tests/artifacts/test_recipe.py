"""A recipe's YAML is read strictly: what mergekit would pass over in silence is an error."""

import pytest

from sae_merge_method.artifacts.recipe import read_recipe_text, read_yaml
from sae_merge_method.artifacts.recipe_models import Conditional
from sae_merge_method.errors import ArtifactError, RecipeError

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


BASE, DONOR = "{model: ./base, layer_range: [0, 4]}", "{model: ./donor, layer_range: [2, 4]}"
SLICES = f"slices: [{{sources: [{BASE}, {DONOR}]}}]\n"
MODULES = "modules: {text: {models: [{model: ./base}]}}\n"
NO_FORM = "merge_method: sae_stethoscope\nbase_model: ./base\n"


@pytest.mark.parametrize("form", ["models: [{model: ./donor}]\n", SLICES, MODULES])
def test_each_of_mergekits_forms_is_read(form):
    recipe = read_yaml(NO_FORM + form, "r")
    given = [name for name in ("models", "slices", "modules") if getattr(recipe, name) is not None]
    assert given == [form.partition(":")[0]]


@pytest.mark.parametrize("forms", ["", SLICES + MODULES, "models: [{model: ./donor}]\n" + MODULES])
def test_no_form_and_two_forms_are_errors(forms):
    with pytest.raises(RecipeError, match="expected exactly one of models, slices, modules"):
        read_yaml(NO_FORM + forms, "r")


@pytest.mark.parametrize(
    ("module", "fits"),
    [
        ("{models: [{model: ./base}]}", True),
        (f"{{slices: [{{sources: [{BASE}]}}]}}", True),
        ("{}", False),
        ("{models: []}", False),
        (f"{{models: [{{model: ./base}}], slices: [{{sources: [{BASE}]}}]}}", False),
    ],
)
def test_a_module_has_models_or_slices(module, fits):
    text = f"{NO_FORM}modules: {{text: {module}}}\n"
    if fits:
        assert read_yaml(text, "r").modules["text"]
    else:
        with pytest.raises(RecipeError, match="modules.text: expected exactly one of models, slices"):
            read_yaml(text, "r")


@pytest.mark.parametrize(
    ("slices", "message"),
    [
        ("slices: [{sources: []}]\n", "slices.0.sources: Tuple should have at least 1 item"),
        ("slices: [{sources: [{model: ./base}]}]\n", "slices.0.sources.0.layer_range: Field required"),
        (SLICES.replace("[2, 4]", "[2, 4, 6]"), "slices.0.sources.1.layer_range"),
        (SLICES.replace("[2, 4]", "[2]"), "slices.0.sources.1.layer_range"),
    ],
)
def test_a_slice_has_sources_with_a_range_each(slices, message):
    with pytest.raises(RecipeError, match=message):
        read_yaml(NO_FORM + slices, "r")


@pytest.mark.parametrize(
    ("weight", "read"),
    [
        ("0.5", 0.5),
        ("2", 2),
        ("[0, 0.5, 1]", (0, 0.5, 1)),
        ("{value: 0.5, filter: mlp}", Conditional(value=0.5, filter="mlp")),
        (
            "[{value: 0.5, filter: mlp}, {value: [0, 1]}]",
            (Conditional(value=0.5, filter="mlp"), Conditional(value=(0, 1))),
        ),
    ],
)
def test_a_weight_is_what_mergekit_takes_for_one(weight, read):
    recipe = read_yaml(RECIPE.replace("}", f", weight: {weight}}}"), "r")
    assert recipe.parameters.weight == read


@pytest.mark.parametrize("weight", ["[]", "[1, {value: 1}]", "[1, x]", "true", "[true]", "''"])
def test_a_weight_that_is_no_number_is_an_error(weight):
    with pytest.raises(RecipeError, match="parameters.weight: expected a number, a list of numbers"):
        read_yaml(RECIPE.replace("}", f", weight: {weight}}}"), "r")


@pytest.mark.parametrize(
    ("dtypes", "written"),
    [
        ("", None),
        ("dtype: bfloat16\n", "bfloat16"),
        ("out_dtype: float16\n", "float16"),
        ("dtype: float32\nout_dtype: bfloat16\n", "bfloat16"),
    ],
)
def test_the_written_dtype_is_out_dtype_else_dtype(dtypes, written):
    assert read_yaml(RECIPE + dtypes, "r").target_dtype == written


def test_the_methods_own_parameters_and_our_own_records_are_kept():
    text = RECIPE.replace("}", ", rank: 3, mode: reject}")
    text += "sae_evidence: {score: kl_bits, scores: {0: 0.5}}\n"
    text += "sae_control: {name: scalpel, controls_for: x, energy: 0, stethoscope_energy: 0.25}\n"
    recipe = read_yaml(text, "r")
    assert recipe.parameters.model_extra == {"rank": 3, "mode": "reject"}
    assert recipe.sae_evidence == {"score": "kl_bits", "scores": {0: 0.5}}
    assert (recipe.sae_control.energy, recipe.sae_control.stethoscope_energy) == (0, 0.25)


@pytest.mark.parametrize("control", ["energy: -1, stethoscope_energy: 2", "energy: 1, stethoscope_energy: 0"])
def test_a_control_without_energy_to_compare_with_is_an_error(control):
    with pytest.raises(RecipeError, match="sae_control"):
        read_yaml(f"{RECIPE}sae_control: {{name: scalpel, controls_for: x, {control}}}\n", "r")


def test_the_bases_tokenizer_may_be_asked_for_in_either_form():
    assert read_yaml(RECIPE + "tokenizer_source: base\n", "r").tokenizer_source == "base"
    assert read_yaml(RECIPE + "tokenizer: {source: base}\n", "r").tokenizer.source == "base"


def test_a_method_that_cannot_be_run_is_named():
    ours = ("sae_stethoscope", "sae_scalpel")
    assert read_yaml(RECIPE, "r", ours).merge_method == "sae_stethoscope"
    other = RECIPE.replace("sae_stethoscope", "ties")
    assert read_yaml(other, "r").merge_method == "ties"
    with pytest.raises(
        RecipeError, match="r is a `ties` recipe; sae-merge runs sae_stethoscope and sae_scalpel"
    ):
        read_yaml(other, "r", ours)
    with pytest.raises(RecipeError, match="merge_method: Input should be a valid string"):
        read_yaml(RECIPE.replace("sae_stethoscope", "3"), "r", ours)


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
        (
            RECIPE.replace("}", ", rounding: up}"),
            "parameters.rounding: expected one of nearest, stochastic, got",
        ),
        (RECIPE.replace("}", ", rounding: [nearest]}"), "parameters.rounding: expected one word: mergekit"),
        (RECIPE.replace("}", ", rounding_seed: -1}"), "parameters.rounding_seed: Input should be greater"),
        (
            RECIPE.replace("}", ", rounding_seed: 0.5}"),
            "parameters.rounding_seed: Input should be a valid int",
        ),
        (RECIPE + "dtype: int8\n", "dtype: Input should be 'float32'"),
        (RECIPE + "tokenizer_source: union\n", "tokenizer_source: Input should be 'base'"),
        ("just words", "expected a mergekit recipe at r, got str"),
        ("a: [", "r is not valid YAML"),
    ],
)
def test_what_would_be_passed_over_is_an_error(text, message):
    with pytest.raises(RecipeError, match=message):
        read_yaml(text, "r")


def test_a_file_that_is_not_there_or_no_text_is_named(tmp_path):
    with pytest.raises(ArtifactError, match="cannot read a recipe at .*r.yml: No such file"):
        read_recipe_text(tmp_path / "r.yml")
    (tmp_path / "r.yml").write_bytes(b"\xff\xfe")
    with pytest.raises(ArtifactError, match=r"expected a recipe \(YAML, UTF-8\) at .*r.yml"):
        read_recipe_text(tmp_path / "r.yml")


def test_a_byte_order_mark_is_no_part_of_a_recipe(tmp_path):
    (tmp_path / "r.yml").write_bytes(b"\xef\xbb\xbfmerge_method: x\n")
    assert read_recipe_text(tmp_path / "r.yml") == "merge_method: x\n"
