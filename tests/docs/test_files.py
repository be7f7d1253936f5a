"""What README and manual show of files, whole or a part, is read by what the files are for."""

import pytest
import yaml

from sae_merge_method.artifacts.recipe import read_yaml
from sae_merge_method.experiment.settings import ExperimentSettings
from sae_merge_method.tune.settings import TuneSettings
from tests.docs.blocks import blocks

TUNE = {
    "base": "base",
    "donor": "donor",
    "target": "target.jsonl",
    "control": "general.jsonl",
    "budget": 0.02,
}
EXPERIMENT = {"base": "base", "donor": "donor", "diagnosis": "diagnosis/"}
"""What stands in such a file beside the part that a page shows."""
READERS = {
    "merge_method": lambda text: read_yaml(text, "recipe.yml"),
    "budget": lambda text: TuneSettings.model_validate(TUNE | yaml.safe_load(text)),
    "families": lambda text: TuneSettings.model_validate(TUNE | yaml.safe_load(text)),
    "evaluation": lambda text: ExperimentSettings.model_validate(EXPERIMENT | yaml.safe_load(text)),
}
"""By a key that such a file has; the first that a text has counts."""


@pytest.mark.parametrize("block", blocks("yaml"), ids=lambda block: block.page)
def test_a_file_that_is_shown_is_read(block):
    read = next(read for key, read in READERS.items() if key in yaml.safe_load(block.text))
    assert read(block.text)
