"""The form that keeps donors out of all layers but the selected ones means the plan that it was made from."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sae_merge_method.errors import ModelError
from sae_merge_method.models.checkpoint import Checkpoint
from sae_merge_method.models.parts import PARTS
from sae_merge_method.recipe.mergekit_form import guarded_form, recipe_text
from sae_merge_method.recipe.methods import parse_recipe
from sae_merge_method.recipe.plan import Donation, EditPlan, plan_edit

N_LAYERS = 6


def base(tmp_path=None, **config):
    return Checkpoint(tmp_path, {"num_hidden_layers": N_LAYERS} | config, "0" * 64, tensors={})


WEIGHTS = st.lists(
    st.tuples(st.sampled_from(["mlp", "self_attn", "norm"]), st.floats(-2, 2)), max_size=2
).flatmap(lambda filtered: st.floats(-2, 2).map(lambda alpha: (*filtered, (None, alpha))))
DONATIONS = st.lists(
    st.builds(Donation, st.sampled_from(["first", "owner/second@main", "./third"]), WEIGHTS),
    min_size=1,
    max_size=2,
    unique_by=lambda donation: donation.model,
).map(tuple)
OPEN = st.none() | st.sets(st.sampled_from(list(PARTS)), min_size=1).map(frozenset)
PLANS = st.dictionaries(st.integers(0, N_LAYERS - 1), st.tuples(DONATIONS, OPEN), min_size=1).map(
    lambda layers: EditPlan(
        "sae_stethoscope",
        "base",
        {layer: donations for layer, (donations, _) in layers.items()},
        None,
        parts={layer: parts for layer, (_, parts) in layers.items() if parts is not None},
    )
)


@given(plan=PLANS)
def test_the_form_is_read_back_as_the_same_plan(plan):
    text = recipe_text(("by a test",), guarded_form(plan, base()), {"sae_evidence": {"path": "d"}})
    assert plan_edit(parse_recipe(text, "r"), plan.layers, N_LAYERS) == plan


@given(plan=PLANS)
def test_embeddings_final_norm_and_head_follow_slices_of_the_base_alone(plan):
    slices = guarded_form(plan, base())["slices"]
    assert slices[0] == {"sources": [{"model": "base", "layer_range": [0, 0]}]}
    assert slices[-1] == {"sources": [{"model": "base", "layer_range": [N_LAYERS, N_LAYERS]}]}
    assert all(part["sources"][0]["model"] == "base" for part in slices)


def test_neighbouring_layers_that_receive_the_same_share_a_slice():
    plan = EditPlan(
        "sae_stethoscope", "base", dict.fromkeys((1, 2, 4), (Donation("d", ((None, 1.0),)),)), None
    )
    ranges = [part["sources"][0]["layer_range"] for part in guarded_form(plan, base())["slices"]]
    assert ranges == [[0, 0], [0, 1], [1, 3], [3, 4], [4, 5], [5, 6], [6, 6]]


def test_every_module_of_a_multimodal_model_is_named():
    donations = {3: (Donation("donor", ((None, 0.5),)),)}
    plan = EditPlan("sae_stethoscope", "base", donations, "bfloat16")
    gemma = base(
        architectures=["Gemma3ForConditionalGeneration"],
        model_type="gemma3",
        text_config={"num_hidden_layers": N_LAYERS},
    )
    form = guarded_form(plan, gemma)
    alone = {"models": [{"model": "base"}]}
    assert form["modules"]["vision_tower"] == form["modules"]["multi_modal_projector"] == alone
    assert plan_edit(parse_recipe(yaml.safe_dump(form), "r"), (3,), N_LAYERS) == plan
    with pytest.raises(ModelError, match=r"does not know the multimodal architecture Nobody"):
        guarded_form(plan, base(architectures=["Nobody"], text_config={"num_hidden_layers": N_LAYERS}))


def test_a_recipes_text_says_why_it_looks_as_it_does():
    plan = EditPlan("sae_stethoscope", "base", {1: (Donation("donor", ((None, 0.5),)),)}, "float32")
    text = recipe_text(("note",), guarded_form(plan, base()), {"sae_evidence": {"scores": {0: 0.1}}})
    assert (
        text
        == """\
# note
merge_method: sae_stethoscope
base_model: base
# The donor is named only in the selected layers: elsewhere it is not even read.
# The empty first and last slices keep embeddings, final norm and head the base's.
slices:
- sources:
  - {model: base, layer_range: [0, 0]}
- sources:
  - {model: base, layer_range: [0, 1]}
- sources:
  - {model: base, layer_range: [1, 2]}
  - {model: donor, layer_range: [1, 2], parameters: {weight: 0.5}}
- sources:
  - {model: base, layer_range: [2, 6]}
- sources:
  - {model: base, layer_range: [6, 6]}
parameters: {layers: '1'}
dtype: float32

# What the layers were chosen from.
sae_evidence:
  scores:
    0: 0.1
"""
    )


def test_parameters_of_a_method_stand_in_a_block_with_the_gate():
    donations = {1: (Donation("donor", ((None, 1.0),)),)}
    plan = EditPlan("sae_scalpel", "base", donations, None, {"diagnosis": "d.json", "rank": 4})
    text = recipe_text((), guarded_form(plan, base()), {})
    assert (
        """\
# The gate once more: a string, never a YAML list, which mergekit reads as a gradient.
parameters:
  layers: '1'
  diagnosis: d.json
  rank: 4
"""
        in text
    )
