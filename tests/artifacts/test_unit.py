"""Layers and parts of layers as fields of artifacts."""

import pytest
from pydantic import ValidationError

from sae_merge_method.artifacts.schema import Record
from sae_merge_method.artifacts.unit import UnitField
from sae_merge_method.layers import LayerModule


class Gated(Record):
    """What an artifact keeps of a gate."""

    layers: tuple[UnitField, ...]


def test_a_whole_layer_is_a_number_and_a_part_is_text():
    gated = Gated(layers=(9, LayerModule(11, "attn")))
    assert gated.model_dump(mode="json") == {"layers": [9, "11.attn"]}
    assert Gated.model_validate({"layers": [9, "11.attn"]}) == gated


@pytest.mark.parametrize("value", ["11.ffn", "9-11", "all", "", 1.5, None, True, ["11", "attn"]])
def test_what_is_no_unit_is_refused(value):
    with pytest.raises(ValidationError, match="expected a layer's number, or a part of a layer such as"):
        Gated.model_validate({"layers": [value]})
