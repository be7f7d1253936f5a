"""SAEs that norm each token by itself: SAELens keeps the norms of what was encoded last, for one decoding."""

from pathlib import Path

import numpy as np
import pytest
import torch

from sae_merge_method.diagnose.on_processor import use_of
from sae_merge_method.diagnose.scales import CountingRule
from sae_merge_method.diagnose.usage import Reading
from sae_merge_method.saes.dictionaries import DirectionsEncoder
from sae_merge_method.saes.encoders import NORMS_EACH_TOKEN
from tests.diagnose import hosts
from tests.diagnose.test_usage import layout, load


@pytest.mark.parametrize("normalization", NORMS_EACH_TOKEN)
def test_an_sae_that_norms_each_token_is_sampled_beside_other_dictionaries(
    tmp_path: Path, normalization: str
) -> None:
    from sae_lens import SAE

    folder = hosts.save_sae(tmp_path / "sae", 2, kind="standard", normalize_activations=normalization)
    residual = 3 + torch.randn(12, hosts.D_MODEL, generator=torch.Generator().manual_seed(0))
    mean = residual.mean(0)
    sampled = np.arange(12) % 3 == 0
    laid = layout([5, 7])._replace(sampled=sampled)
    directions = DirectionsEncoder(torch.eye(hosts.D_MODEL), None)
    rule = CountingRule(np.inf, leaves_out=True, mean=mean.numpy())
    sae = load(folder)
    for _ in range(2):  # one batch after another
        own, beside = use_of(Reading(sae.encoder, rule, "a layer", [directions]), residual, laid)
    reference = SAE.load_from_disk(folder)
    with torch.no_grad():
        restored = reference.decode(reference.encode(residual))
    explained = 1 - (residual - restored).square().sum(1) / (residual - mean).square().sum(1)
    np.testing.assert_allclose(own.fit.explained, explained[sampled].numpy(), atol=1e-4)
    assert beside.counted.tokens.tolist() == [5, 7]
