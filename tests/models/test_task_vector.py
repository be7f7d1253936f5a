"""A task vector comes tensor by tensor, in the order of layers and names, whatever the layouts."""

import math

import pytest
import torch

from sae_merge_method.errors import MergeError
from sae_merge_method.models.checkpoint import open_checkpoint
from sae_merge_method.models.task_vector import task_vector
from tests import tiny
from tests.layouts.checkpoints import gemma3


def test_each_tensor_of_the_layers_comes_once_as_donor_minus_base(base, donor):
    before, after = tiny.load_tensors(base), tiny.load_tensors(donor)
    pairs = list(task_vector(open_checkpoint(base), open_checkpoint(donor), [3, 1]))
    assert [(pair.layer, pair.name) for pair in pairs] == sorted(
        (layer, f"model.layers.{layer}.{part}") for layer in (1, 3) for part in tiny.layer_parts()
    )
    for pair in pairs:
        assert torch.from_numpy(pair.base).equal(before[pair.name])
        assert torch.from_numpy(pair.tau).equal(after[pair.name] - before[pair.name])


def test_base_and_donor_may_have_other_layouts(tmp_path):
    folders = (gemma3(tmp_path / layout, layout, seed) for seed, layout in enumerate(("HUB", "TXT")))
    base, donor = map(open_checkpoint, folders)
    names = [pair.name for pair in task_vector(base, donor, [0])]
    assert len(names) == 13 and all(name.startswith("language_model.model.layers.0.") for name in names)


def test_no_layer_is_no_tensor(base, donor):
    assert list(task_vector(open_checkpoint(base), open_checkpoint(donor), [])) == []


def test_a_value_that_is_no_number_is_named(tmp_path, base):
    def hole(tensors: tiny.Tensors) -> None:
        tensors["model.layers.1.mlp.up_proj.weight"][0, 0] = math.inf

    donor = open_checkpoint(tiny.gemma3_text(tmp_path / "broken", 1, change=hole))
    with pytest.raises(MergeError, match=r"layers\.1\.mlp\.up_proj\.weight: base or donor holds NaN"):
        list(task_vector(open_checkpoint(base), donor, [1]))
