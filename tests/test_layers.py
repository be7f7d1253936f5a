"""Layer sets as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sae_merge_method.errors import UsageError
from sae_merge_method.layers import format_layers, parse_layers


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
