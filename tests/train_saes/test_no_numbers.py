"""NaN and infinity among a model's activations are told with their layer, before an SAE learns of them."""

from pathlib import Path
from typing import Any

import pytest
import torch

from sae_merge_method.errors import ModelError
from sae_merge_method.train_saes.job import open_job
from sae_merge_method.train_saes.run import run_job
from sae_merge_method.train_saes.states import States
from tests.train_saes.conftest import Settings


@pytest.mark.parametrize("damage", [torch.nan, torch.inf])
def test_a_token_that_is_no_number_ends_the_training_before_its_first_step(
    damage: float, settings: Settings, tmp_path: Path
) -> None:
    job = open_job(settings(held_out=0))

    def damaged(_module: object, _inputs: object, output: Any) -> None:
        states = output[0] if isinstance(output, tuple) else output
        states[0, 2, 1] = damage

    job.model.blocks[2].register_forward_hook(damaged)
    states = States(tmp_path / "saes", job.inputs())
    with pytest.raises(ModelError, match=r"what layer 2 puts out is NaN or infinite at \d+ of \d+ tokens"):
        run_job(job, states, tmp_path, report=lambda _: None)
    assert not list(tmp_path.iterdir())
