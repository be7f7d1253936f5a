"""What a recipe means, whatever its form: who gives what to which layer, by mergekit's own rules."""

import pytest
import yaml
from mergekit.config import evaluate_setting

from sae_merge_method.errors import RecipeError
from sae_merge_method.recipe.methods import parse_recipe
from sae_merge_method.recipe.plan import Donation, EditPlan, donations_of, plan_edit

N_LAYERS = 6


def recipe(**keys):
    written = {"merge_method": "sae_stethoscope", "base_model": "base", "parameters": {"layers": "0-5"}}
    return parse_recipe(yaml.safe_dump(written | keys), "r")


def models(own=None, **shared):
    parameters = {} if own is None else {"parameters": {"weight": own}}
    return recipe(models=[{"model": "donor"} | parameters], parameters={"layers": "0-5", **shared})


def run(first, end, *donors, **keys):
    sources = [{"model": "base", "layer_range": [first, end]}]
    return {"sources": sources + [{"model": donor, "layer_range": [first, end]} for donor in donors]} | keys


def alphas(found, name="mlp.up_proj.weight"):
    """Of the first donor, by layer."""
    return {layer: donations[0].alpha(name) for layer, donations in found.items()}


@pytest.mark.parametrize(
    ("weight", "shared", "expected"),
    [
        (None, {}, 1.0),
        (0.5, {}, 0.5),
        (None, {"weight": 0.25}, 0.25),
        (0.5, {"weight": 0.25}, 0.5),
        (0, {"weight": 0.25}, 0.0),
    ],
)
def test_a_donors_own_weight_goes_before_the_recipes_and_that_before_one(weight, shared, expected):
    found = donations_of(models(weight, **shared), range(N_LAYERS), N_LAYERS)
    assert alphas(found) == dict.fromkeys(range(N_LAYERS), expected)


@pytest.mark.parametrize("gradient", [[0, 1], [0.0, 0.3, 1.0], [1.0], [0, 10, 0, 10]])
@pytest.mark.parametrize("length", [1, 2, 5, 6])
def test_a_gradient_is_interpolated_as_mergekit_does(gradient, length):
    slices = [run(0, length, "donor"), *([run(length, N_LAYERS)] if length < N_LAYERS else [])]
    found = donations_of(
        recipe(slices=slices, parameters={"layers": "0", "weight": gradient}), range(length), N_LAYERS
    )
    for layer in range(length):
        t = layer / (length - 1) if length > 1 else 1.0
        assert alphas(found)[layer] == evaluate_setting("x", gradient, t, validate=float)


def test_a_gradient_begins_anew_in_each_slice():
    slices = [run(0, 3, "donor"), run(3, 6, "donor")]
    found = donations_of(
        recipe(slices=slices, parameters={"layers": "0-5", "weight": [0, 1]}), range(N_LAYERS), N_LAYERS
    )
    assert alphas(found) == {0: 0, 1: 0.5, 2: 1, 3: 0, 4: 0.5, 5: 1}


def test_filters_are_tried_in_order_of_scope_and_writing():
    own = [{"filter": "mlp", "value": 0.5}, {"filter": "self_attn", "value": [0, 1]}]
    found = donations_of(models(own, weight=0.1), range(N_LAYERS), N_LAYERS)
    (donation,) = found[5]
    assert donation.weights == (("mlp", 0.5), ("self_attn", 1.0), (None, 0.1))
    assert donation.alpha("model.layers.5.mlp.up_proj.weight") == 0.5
    assert donation.alpha("model.layers.5.self_attn.q_proj.weight") == 1.0
    assert donation.alpha("model.layers.5.input_layernorm.weight") == 0.1


@pytest.mark.parametrize("catch_all", [{"value": 0.7}, {"filter": "*", "value": 0.7}])
def test_nothing_behind_a_filter_that_takes_all_is_reached(catch_all):
    found = donations_of(models([{"filter": "mlp", "value": 0.5}, catch_all], weight=9), [0], N_LAYERS)
    assert found[0][0].weights == (("mlp", 0.5), (None, 0.7))


def test_a_slices_own_weight_goes_before_the_recipes():
    slices = [run(0, 2, "donor", parameters={"weight": 0.5}), run(2, 6, "donor")]
    found = donations_of(
        recipe(slices=slices, parameters={"layers": "0-5", "weight": 0.25}), range(N_LAYERS), N_LAYERS
    )
    assert alphas(found) == {0: 0.5, 1: 0.5, 2: 0.25, 3: 0.25, 4: 0.25, 5: 0.25}


def test_slices_name_other_donors_in_other_layers_and_empty_ones_change_nothing():
    slices = [run(0, 0), run(0, 2, "first"), run(2, 4), run(4, 6, "first", "second"), run(6, 6)]
    found = donations_of(recipe(slices=slices), (0, 5), N_LAYERS)
    assert {layer: [donation.model for donation in found[layer]] for layer in found} == {
        0: ["first"],
        5: ["first", "second"],
    }


@pytest.mark.parametrize("text_decoder", [{"models": [{"model": "base"}, {"model": "donor"}]}, None])
def test_of_a_multimodal_model_the_text_decoder_is_edited(text_decoder):
    modules = {
        "text_decoder": text_decoder or {"slices": [run(0, 6, "donor")]},
        "vision_tower": {"models": [{"model": "base"}]},
    }
    modules["text_decoder"]["parameters"] = {"weight": 0.5}
    found = donations_of(recipe(modules=modules), (2,), N_LAYERS)
    assert found == {2: (Donation("donor", ((None, 0.5),)),)}


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"slices": [run(0, 6)]}, "layers 0, 1 are selected, but the recipe names no donor for them"),
        ({"slices": [run(0, 5, "donor")]}, "slices end at layer 5, the base has 6"),
        ({"slices": [run(0, 7, "donor")]}, "slices end at layer 7, the base has 6"),
        ({"slices": [run(1, 6, "donor")]}, r"slices\.0: expected every source, .* to go on at layer 0"),
        ({"slices": [run(0, 2, "donor"), run(3, 6)]}, r"slices\.1: .* to go on at layer 2"),
        ({"slices": [run(0, 2, "donor"), run(2, 1), run(1, 6)]}, r"slices\.1: .* does not restack"),
        (
            {"slices": [{"sources": [{"model": "donor", "layer_range": [0, 6]}]}]},
            "expected every source, the base among them",
        ),
        (
            {"slices": [{"sources": [*run(0, 6)["sources"], {"model": "donor", "layer_range": [1, 6]}]}]},
            "expected every source",
        ),
        ({"models": [{"model": "donor"}, {"model": "donor"}]}, "donor is named twice"),
        ({"slices": [run(0, 6, "donor", "donor")]}, "donor is named twice"),
        (
            {"modules": {"vision_tower": {"models": [{"model": "base"}]}}},
            "modules: expected text_decoder among them, got vision_tower",
        ),
        (
            {
                "modules": {
                    "text_decoder": {"models": [{"model": "donor"}]},
                    "vision_tower": {"models": [{"model": "donor"}, {"model": "base"}]},
                }
            },
            r"modules\.vision_tower: only the base can stand here, got donor",
        ),
        (
            {
                "modules": {
                    "text_decoder": {"models": [{"model": "donor"}]},
                    "vision_tower": {"slices": [run(0, 6, "donor")]},
                }
            },
            r"modules\.vision_tower: only the base can stand here, got donor",
        ),
    ],
)
def test_what_is_no_edit_in_place_is_refused(keys, message):
    with pytest.raises(RecipeError, match=message):
        donations_of(recipe(**keys), (0, 1), N_LAYERS)


def test_one_donor_in_two_spellings_is_refused_and_two_revisions_are_two(tmp_path, monkeypatch):
    (tmp_path / "donor").mkdir()
    (tmp_path / "link").symlink_to("donor")
    monkeypatch.chdir(tmp_path)

    def found(*names):
        return donations_of(recipe(models=[{"model": name} for name in names]), (0, 1), N_LAYERS)

    for other in ("donor/", str(tmp_path / "donor"), "link"):
        with pytest.raises(RecipeError, match=f"donor and {other} are one model, named twice"):
            found("./donor", other)
    assert len(found("me/model", "me/model@step1000")[0]) == 2
    assert len(found("./donor+./a", "./donor+./b")[0]) == 2
    assert len(found("elsewhere/c++/a", "elsewhere/c++/b")[0]) == 2


def test_a_share_of_the_energy_is_folded_into_the_weights():
    plan = plan_edit(models([{"filter": "mlp", "value": 0.5}], energy=0.25), (1, 4), N_LAYERS)
    assert plan.donations[4] == (Donation("donor", (("mlp", 0.25), (None, 0.5))),)
    assert plan.parameters == {}
    assert (plan.layers, plan.donors, plan.dtype) == ((1, 4), ("donor",), None)


def test_the_parameters_of_a_filtering_method_stay_as_they_are_written():
    shared = {"layers": "1", "rank": 4, "diagnosis": "diagnosis.json", "mode": "reject"}
    scalpel = recipe(merge_method="sae_scalpel", models=[{"model": "donor"}], parameters=shared)
    plan = plan_edit(scalpel, (1,), N_LAYERS)
    assert plan.parameters == {"rank": 4, "mode": "reject", "diagnosis": "diagnosis.json"}
    assert plan.donations == {1: (Donation("donor", ((None, 1.0),)),)}


def test_the_written_dtype_is_out_dtype_before_dtype():
    def written(**keys):
        return plan_edit(recipe(models=[{"model": "donor"}], **keys), (1,), N_LAYERS).dtype

    assert written(dtype="float32") == "float32"
    assert written(dtype="float32", out_dtype="bfloat16") == "bfloat16"


def test_donors_are_listed_once_in_the_order_of_their_first_layer():
    first, second = (Donation(name, ((None, 1.0),)) for name in ("first", "second"))
    plan = EditPlan("sae_stethoscope", "base", {4: (first, second), 1: (second,)}, None)
    assert plan.layers == (1, 4)
    assert plan.donors == ("second", "first")
