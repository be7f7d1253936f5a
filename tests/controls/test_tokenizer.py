"""What an arm writes beside its weights is what the recipe under test writes."""

import yaml

from sae_merge_method.artifacts.recipe import RecipeText
from sae_merge_method.controls.settings import ControlSettings
from sae_merge_method.controls.write import write_controls
from tests.recipes import recipe_text


def test_the_arms_write_the_tokenizer_that_the_recipe_asks_for_in_either_form(scene, tmp_path):
    asked = {"tokenizer_source": "base"}, {"tokenizer": {"source": "base"}, "chat_template": "chatml"}
    for number, keys in enumerate(asked):
        recipe = recipe_text(scene.base, scene.donor, tail=yaml.safe_dump(keys))
        write_controls(
            RecipeText(recipe, "r"),
            tmp_path / f"arms{number}",
            ControlSettings(arms=("all-layers",), diagnosis=scene.diagnosis),
        )
        arm = yaml.safe_load((tmp_path / f"arms{number}/all-layers.yml").read_text())
        kept = {key: arm[key] for key in ("tokenizer_source", "tokenizer", "chat_template") if key in arm}
        assert kept == keys
