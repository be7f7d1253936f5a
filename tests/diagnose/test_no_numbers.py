"""NaN and infinity in a model or an SAE: told where they are met, by name."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from sae_merge_method.diagnose.on_processor import use_of
from sae_merge_method.diagnose.scales import CountingRule
from sae_merge_method.diagnose.usage import Reading
from sae_merge_method.errors import ModelError, SaeError
from tests.diagnose import hosts
from tests.diagnose.test_usage import layout, load


@pytest.mark.parametrize("damage", [np.nan, np.inf])
def test_what_is_no_number_is_told_with_its_layer_at_the_first_token(tmp_path: Path, damage: float) -> None:
    sae = load(hosts.save_sae(tmp_path / "sae", 2))
    residual = torch.randn(4, hosts.D_MODEL)
    residual[2, 1] = damage
    rule = CountingRule(np.inf, leaves_out=True, mean=np.zeros(hosts.D_MODEL, np.float32))
    with pytest.raises(ModelError, match="what layer 7 puts out is NaN or infinite at 1 tokens"):
        use_of(Reading(sae.encoder, rule, "layer 7"), residual, layout([4]))
    sae.encoder.decode = lambda features: torch.full((len(features), hosts.D_MODEL), damage)
    with pytest.raises(SaeError, match="decodes to NaN or infinite"):
        use_of(Reading(sae.encoder, rule, "a layer"), residual[:2], layout([2]))


@pytest.mark.parametrize("damage", [np.nan, 1e38])
def test_an_sae_that_encodes_to_what_is_no_number_is_told_with_its_layer(
    tmp_path: Path, damage: float
) -> None:
    sae = load(hosts.save_raw(tmp_path / "sae", 2))
    sae.encoder.w_enc[3, 5] = damage
    residual = torch.full((4, hosts.D_MODEL), 1e3)
    rule = CountingRule(np.inf, leaves_out=True, mean=np.zeros(hosts.D_MODEL, np.float32))
    with pytest.raises(SaeError, match="SAE of layer 7 encodes to NaN or infinite"):
        use_of(Reading(sae.encoder, rule, "layer 7"), residual, layout([4]))


def test_an_sae_with_nan_in_its_encoder_is_refused_by_name(tmp_path: Path) -> None:
    folder = hosts.save_sae(tmp_path / "sae", 2)
    file = folder / "sae_weights.safetensors"
    tensors = load_file(file)
    tensors["threshold"][3] = np.nan
    save_file(tensors, file)
    with pytest.raises(SaeError, match="holds NaN in threshold"):
        load(folder)
