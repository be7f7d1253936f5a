"""What README and manual show of files is read by what the files are for, and numbers of pages fit the code."""

import pytest
import yaml

from sae_merge_method.artifacts.recipe import read_yaml
from sae_merge_method.experiment.settings import ExperimentSettings
from sae_merge_method.tune.settings import TuneSettings
from tests.docs.blocks import blocks

READERS = {
    "merge_method": lambda text: read_yaml(text, "recipe.yml"),
    "budget": lambda text: TuneSettings.model_validate(yaml.safe_load(text)),
    "evaluation": lambda text: ExperimentSettings.model_validate(yaml.safe_load(text)),
}
"""By a key that only such a file has."""


@pytest.mark.parametrize("block", blocks("yaml"), ids=lambda block: block.page)
def test_a_file_that_is_shown_is_read(block):
    (reader,) = [read for key, read in READERS.items() if key in yaml.safe_load(block.text)]
    assert reader(block.text)
