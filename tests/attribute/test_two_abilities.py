"""Two abilities in different layers of one donor are told apart: each target finds its own layer."""

import numpy as np
import pytest

from sae_merge_method.attribute.run import attribute
from sae_merge_method.diagnose.score_ranks import blindness, of_attribution, score_ranks
from tests.attribute.conftest import settings
from tests.attribute.planted import GAIN, trained_on

OTHER = 0
"""The layer in which the second ability is planted: the language that is the control of the first."""


@pytest.fixture(scope="module")
def of_both(ground, tmp_path_factory):
    """The same donor attributed twice: once for each language, the other one being the control."""
    second = trained_on(ground, OTHER, (0, 1))
    donor = ground.donor("two-abilities", ground.able, second)
    folder = tmp_path_factory.mktemp("both")
    asked = settings(ground, donor)
    turned = asked.model_copy(update={"target": ground.control, "control": (ground.target,)})
    return attribute(asked, folder / "first"), attribute(turned, folder / "second")


def test_each_target_finds_the_layer_of_its_own_ability(of_both):
    first, second = of_both
    for attribution, layer in ((first, GAIN), (second, OTHER)):
        gains = attribution.target.attributed()
        assert max(gains, key=gains.__getitem__) == layer
        assert gains[layer] > 2 * max(gain for at, gain in gains.items() if at != layer)


def test_scores_that_know_donor_and_target_are_not_blind_to_which_is_asked_for(of_both):
    first, second = map(of_attribution, of_both)
    ranks = {one.score: one.other for one in score_ranks(first, second)}
    assert ranks["attributed_gain"].rho < 0.9
    told = "\n".join(blindness(score_ranks(first, second), first.target, second.target))
    assert "attributed_gain" not in told


def test_the_profiles_are_of_the_donors_layers_and_nothing_else(of_both):
    for attribution in of_both:
        gains = np.array(list(attribution.target.attributed().values()))
        assert np.abs(np.delete(gains, [GAIN, OTHER])).max() == 0
