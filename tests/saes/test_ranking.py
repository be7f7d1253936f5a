"""Features are ranked as the layer score of the same name weighs them."""

import numpy as np
import torch

from sae_merge_method.saes.ranking import rank_features
from tests.geometry import scenes


def test_features_are_ranked_by_the_selectivity_score_of_the_diagnosis():
    from sae_merge_method.diagnose.specificity import selectivity

    usage, documents = scenes.usage(1), scenes.documents()
    dense = np.zeros((scenes.N_DOCUMENTS, scenes.D_SAE))
    dense[usage.rows(), usage.indices] = usage.means()
    target, control = (
        {"usage": torch.from_numpy(dense[side].mean(0))}
        for side in (documents.is_target, ~documents.is_target)
    )
    ranking = rank_features(usage, documents)
    expected = selectivity(target, control).numpy()
    assert np.allclose(ranking.selectivity, expected[ranking.features], atol=1e-12)
    assert list(ranking.features[:4]) == [0, 2, 4, 6]
    assert (np.diff(ranking.selectivity) <= 0).all()
