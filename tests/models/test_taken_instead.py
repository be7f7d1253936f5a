"""What a loader would take in place of the weights: held against what the loaders here really take."""

import json

import pytest
from safetensors.torch import save_file

from sae_merge_method.models.taken_instead import TAKEN_INSTEAD, is_about, taken_instead
from tests import tiny
from tests.merged import BESIDE_IMAGES, BESIDE_TEXT


def test_every_name_that_transformers_loads_weights_by_is_known():
    from transformers import utils

    names = [
        utils.SAFE_WEIGHTS_NAME,
        utils.SAFE_WEIGHTS_INDEX_NAME,
        utils.WEIGHTS_NAME,
        utils.WEIGHTS_INDEX_NAME,
    ]
    names += [utils.ADAPTER_CONFIG_NAME, utils.ADAPTER_SAFE_WEIGHTS_NAME, utils.ADAPTER_WEIGHTS_NAME]
    names += [
        "model.fp16.safetensors",
        "model.fp16.safetensors.index.json",
        "pytorch_model-00001-of-00002.bin",
    ]
    assert not [name for name in names if taken_instead(name) is None]


def test_every_name_that_mergekit_loads_weights_by_is_known():
    import inspect
    import re

    from mergekit.io import lazy_tensor_loader

    names = re.findall(r'"([\w]+\.(?:bin|safetensors))"', inspect.getsource(lazy_tensor_loader))
    assert "pytorch_model.bin" in names
    assert not [name for name in names if taken_instead(name) is None]


@pytest.mark.parametrize("row", TAKEN_INSTEAD, ids=lambda row: row.pattern)
def test_every_row_is_reached_by_a_name_of_its_own(row):
    assert taken_instead(row.pattern.replace("*", "x")) is row


def test_what_a_trainer_leaves_and_what_is_about_a_model_is_taken_by_nobody():
    for name in ("training_args.bin", "rng_state_0.pth", "optimizer.pt", *BESIDE_TEXT, *BESIDE_IMAGES):
        assert taken_instead(name) is None
    assert all(map(is_about, ("README.md", "model.sig", "out.intoto.json", "LICENSE.txt")))
    assert not is_about("model.safetensors")


def test_transformers_takes_the_weights_that_the_config_names(tmp_path):
    """Why that key is a violation: what is audited is not what is loaded."""
    import transformers

    model = tiny.gemma3_text(tmp_path / "model", 0)
    other = {name: tensor + 1 for name, tensor in tiny.load_tensors(model).items()}
    save_file(other, model / "other.safetensors", metadata={"format": "pt"})
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(config | {"transformers_weights": "other.safetensors"}))
    loaded = transformers.AutoModelForCausalLM.from_pretrained(model)
    assert tiny.same_bytes(loaded.model.norm.weight.detach(), other["model.norm.weight"])
