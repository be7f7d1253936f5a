"""Which features a scalpel recipe means."""

import pytest

from sae_merge_method.errors import RecipeError
from sae_merge_method.recipe.subspaces import parse_features


def test_features_are_written_like_the_gate_by_layer():
    assert parse_features("3, 17, 5-7", [9]) == {9: (3, 5, 6, 7, 17)}
    assert parse_features("9: 3, 5-6; 11: 4", [11, 9]) == {9: (3, 5, 6), 11: (4,)}
    for text, layers, message in (
        ("3, 17", [9, 11], "does not say of which layer"),
        ("9: 3", [9, 11], "expected features for layers 9, 11, got 9"),
        ("9: 3; 9: 4", [9], "each layer once"),
        ("nine: 3", [9], "each layer once, got 'nine: 3'"),
    ):
        with pytest.raises(RecipeError, match=message):
            parse_features(text, layers)
