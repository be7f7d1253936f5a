"""What of a miniature is made again when a setting changes."""

import pytest

from sae_merge_method.miniature.build import locate
from sae_merge_method.miniature.settings import MiniatureSettings


@pytest.mark.parametrize(
    ("changed", "remade"),
    [
        ({"sae_k": 9}, {"saes"}),
        ({"donor_tokens": 1}, {"donor"}),
        ({"base_tokens": 1}, {"base", "donor", "saes"}),
        ({"seed": 5}, {"texts", "base", "donor", "saes"}),
        ({"problems_per_subject": 101}, {"texts", "base", "donor", "saes"}),
    ],
)
def test_a_changed_setting_remakes_what_depends_on_it_and_nothing_else(tmp_path, changed, remade):
    one, other = locate(MiniatureSettings(), tmp_path), locate(MiniatureSettings(**changed), tmp_path)
    parts = ("texts", "base", "donor", "saes")
    assert {part for part in parts if getattr(one, part) != getattr(other, part)} == remade


def test_every_setting_is_part_of_some_key(tmp_path):
    one = locate(MiniatureSettings(), tmp_path)
    for name, value in MiniatureSettings().model_dump().items():
        assert locate(MiniatureSettings(**{name: value + 1}), tmp_path) != one, name
