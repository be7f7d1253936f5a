"""Layers and parts of layers as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sae_merge_method.errors import UsageError
from sae_merge_method.layers import (
    LayerModule,
    by_depth,
    format_layers,
    how_open,
    layer_of,
    layers_of,
    named_units,
    open_parts,
    parse_layers,
    parse_units,
    part_of_layer,
    sorted_units,
    unit_of_tensor,
    units_word,
)


def test_layers_are_read_as_they_are_written():
    assert parse_layers("9, 11-13,22") == (9, 11, 12, 13, 22)
    assert parse_layers("3,1,2,2") == (1, 2, 3)
    assert parse_layers("all", 3) == (0, 1, 2)
    assert format_layers([22, 11, 12, 13, 9]) == "9, 11-13, 22"
    assert format_layers([4, 5]) == "4, 5"


@given(st.sets(st.integers(0, 200), min_size=1))
def test_written_layers_read_back(layers):
    assert parse_layers(format_layers(layers)) == tuple(sorted(layers))


@pytest.mark.parametrize("text", ["", "a", "3-", "-3", "5-3", "1;2", "1,,2", "1.5", "every", "٣x"])
def test_malformed_layers_are_refused(text):
    for n_layers in (None, 4):
        with pytest.raises(UsageError, match=r'expected layers like "9, 11-13, 22"|runs backwards'):
            parse_layers(text, n_layers)


def test_all_layers_of_a_model_of_unknown_depth_are_refused():
    with pytest.raises(UsageError, match='"all" needs the number of layers'):
        parse_layers("all")


@pytest.mark.parametrize("last", [34, 35, 99999])
def test_a_layer_the_model_lacks_is_refused(last):
    with pytest.raises(UsageError, match=f"layer {last} is out of range .* 34 layers, 0 to 33"):
        parse_layers(f"2, 30-{last}", 34)


ATTN, MLP = LayerModule(11, "attn"), LayerModule(13, "mlp")
UNITS = st.integers(0, 30) | st.builds(LayerModule, st.integers(0, 30), st.sampled_from(["attn", "mlp"]))


def test_parts_of_layers_are_read_as_they_are_written():
    assert parse_units("9, 11.attn, 13.mlp") == (9, ATTN, MLP)
    assert parse_units("9, 11-13, 22") == parse_layers("9, 11-13, 22")
    assert parse_units("2-3.mlp") == (LayerModule(2, "mlp"), LayerModule(3, "mlp"))
    assert parse_units("all.attn, 1.mlp", 2) == (
        LayerModule(0, "attn"),
        LayerModule(1, "attn"),
        LayerModule(1, "mlp"),
    )
    assert format_layers([MLP, 9, ATTN]) == "9, 11.attn, 13.mlp"
    assert str(ATTN) == "11.attn"


def test_runs_are_joined_part_by_part():
    attention = [LayerModule(layer, "attn") for layer in (4, 5, 6)]
    assert format_layers([*attention, LayerModule(5, "mlp"), 9]) == "4-6.attn, 5.mlp, 9"
    assert format_layers([3, *attention, 7]) == "3, 4-6.attn, 7"


def test_a_whole_layer_takes_its_parts_in_and_both_parts_are_not_the_whole():
    assert parse_units("11.attn, 11, 11.mlp") == (11,)
    assert parse_units("11.mlp, 11.attn") == (LayerModule(11, "attn"), LayerModule(11, "mlp"))


@given(st.sets(UNITS, min_size=1))
def test_written_units_read_back_and_have_one_text(units):
    text = format_layers(units)
    assert parse_units(text) == sorted_units(units)
    assert format_layers(parse_units(text)) == text


@given(st.sets(UNITS, min_size=1))
def test_units_lie_in_the_order_of_depth(units):
    kept = sorted_units(sorted(units, key=by_depth, reverse=True))
    assert list(map(layer_of, kept)) == sorted(map(layer_of, kept))
    assert layers_of(kept) == tuple(sorted({layer_of(unit) for unit in units}))
    whole = {unit for unit in units if part_of_layer(unit) is None}
    assert whole <= set(kept) <= units


def test_an_unknown_part_is_refused_with_those_there_are():
    for text in ("11.ffn", "9, 11.MLP", "all.norm"):
        with pytest.raises(UsageError, match="has no part '(ffn|MLP|norm)', .* expected attn or mlp"):
            parse_units(text, 12)


@pytest.mark.parametrize("text", ["11.", ".attn", "11.attn.mlp", "11 .attn", "2.attn-4.attn", "11.1", "attn"])
def test_malformed_parts_are_refused(text):
    with pytest.raises(UsageError, match="expected"):
        parse_units(text, 12)


def test_a_part_of_a_layer_that_the_model_lacks_is_refused():
    with pytest.raises(UsageError, match="layer 34 is out of range"):
        parse_units("2, 34.attn", 34)


def test_a_part_is_refused_where_layers_are_whole():
    with pytest.raises(UsageError, match=r"expected whole layers, got 11\.attn in '9, 11\.attn'"):
        parse_layers("9, 11.attn")


def test_units_are_called_modules_where_no_layer_is_whole():
    assert named_units([11, 9]) == "layers 9, 11"
    assert named_units([9, ATTN]) == "layers 9, 11.attn"
    assert named_units([ATTN, MLP]) == "modules 11.attn, 13.mlp"
    assert [units_word(units) for units in ((9,), (9, ATTN), (ATTN,), ())] == [
        "layers",
        "layers and modules",
        "modules",
        "layers",
    ]
    assert named_units([9], 26) == "layers 9 of 26"
    assert named_units([ATTN], 26) == "modules 11.attn of 26 layers"


@pytest.mark.parametrize(
    ("tensor", "unit"),
    [
        ("model.layers.1.self_attn.q_proj.weight", "1"),
        ("model.layers.1.input_layernorm.weight", "1"),
        ("model.layers.2.self_attn.q_proj.weight", "2.attn"),
        ("model.layers.2.mlp.up_proj.weight", None),
        ("model.layers.3.mlp.up_proj.weight", None),
        ("model.embed_tokens.weight", None),
    ],
)
def test_a_tensor_belongs_to_its_layer_where_that_is_whole_else_to_its_part(tensor, unit):
    found = unit_of_tensor(parse_units("1, 2.attn"), tensor)
    assert (None if found is None else str(found)) == unit


def test_a_layer_is_open_whole_in_parts_or_not():
    units = parse_units("1, 2.attn, 3.attn, 3.mlp")
    assert open_parts(units) == {2: {"attn"}, 3: {"attn", "mlp"}}
    assert [how_open(layer, units) for layer in range(4)] == ["", "yes", "attn", "attn, mlp"]


def test_runs_lie_in_the_order_of_their_first_layer():
    assert format_layers(parse_units("2-4.mlp, 1-3.attn")) == "1-3.attn, 2-4.mlp"
    assert format_layers([0, 1, 2, 9]) == "0-2, 9"
