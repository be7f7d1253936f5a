"""What layers score in every other way: by every other formula, and by either half of the sources."""

from collections.abc import Sequence

import numpy as np
import pytest

from sae_merge_method.artifacts.diagnosis import OtherScores
from sae_merge_method.artifacts.layer_usage import LayerUsage
from sae_merge_method.artifacts.usage import Documents
from sae_merge_method.diagnose.document_matrices import document_matrices
from sae_merge_method.diagnose.estimation import estimates
from sae_merge_method.diagnose.other_scores import SHUFFLES, OtherWays, other_scores, score_dictionaries
from sae_merge_method.diagnose.scoring import score_layers
from sae_merge_method.diagnose.settings import ScoringSettings
from sae_merge_method.diagnose.specificity import SCORES
from tests.diagnose.usage_by_hand import documents, random_usage, usage_of

LAYERS = [usage_of(random_usage(seed, 24, 30)) for seed in range(2)]
PLAIN = ScoringSettings(permutations=0, bootstrap=0)


def taken(sides: Documents, settings: ScoringSettings, layers: Sequence[LayerUsage] = LAYERS) -> dict[str, OtherScores]:  # fmt: skip
    ways = OtherWays(sides, settings)
    each = [ways.taken(estimates(document_matrices(usage, sides), ways.asked())) for usage in layers]
    return {one.name: one for one in other_scores(range(len(layers)), each)}


@pytest.mark.parametrize("asked", ["kl_bits", "js_bits"])
def test_every_other_score_is_what_asking_for_it_would_give(asked: str) -> None:
    sides = documents(12, 12)
    found = taken(sides, PLAIN.model_copy(update={"score": asked}))
    assert found.keys() == {*SCORES, "half 1", "half 2"} - {asked}
    for name in found.keys() & SCORES.keys():
        alone = PLAIN.model_copy(update={"score": name})
        scored = score_layers(range(2), LAYERS.__getitem__, sides, alone, ["c1"]).layers
        assert found[name].kind == "score"
        assert found[name].scores == pytest.approx({nth: one.score for nth, one in enumerate(scored)})


def test_the_halves_share_no_source_and_each_is_scored_by_the_score_that_is_asked_for() -> None:
    """Documents of one source are all alike, and no source is like another: halves cannot score the same."""
    sides = documents(8, 8, a_source=2)
    dense = np.repeat(np.random.default_rng(0).exponential(size=(8, 30)), 2, axis=0)
    one, other = (found for name, found in taken(sides, PLAIN, [usage_of(dense)]).items() if "half" in name)
    assert one.kind == other.kind == "half"
    assert one.scores[0] > 0 and other.scores[0] > 0 and one.scores[0] != other.scores[0]


def test_where_a_side_is_one_source_there_are_no_halves_and_no_score_that_is_picked_on_one_of_them() -> None:
    sides = Documents(np.repeat([0, 1], 12), np.repeat([0, *range(1, 13)], [12, *[1] * 12]))
    assert taken(sides, PLAIN).keys() == {
        name for name, row in SCORES.items() if row.top_k is None and name != PLAIN.score
    }


def test_of_several_controls_the_one_that_scores_least_counts() -> None:
    dense = random_usage(0, 36, 30)
    dense[24:] = dense[:12]  # the second control says what the target says
    both = taken(documents(12, 12, 12), PLAIN, [usage_of(dense)])
    near = taken(documents(12, 12), PLAIN, [usage_of(np.concatenate((dense[:12], dense[24:])))])
    assert both["js_bits"].scores == pytest.approx(near["js_bits"].scores) == {0: pytest.approx(0)}


def test_what_shuffled_labels_score_is_taken_off_by_few_shuffles_however_many_are_asked_for() -> None:
    sides, many = documents(12, 12), ScoringSettings(permutations=2 * SHUFFLES, bootstrap=0)
    few = many.model_copy(update={"permutations": SHUFFLES})
    assert taken(sides, many) == taken(sides, few)
    raw, corrected = taken(sides, PLAIN)["js_bits"], taken(sides, few)["js_bits"]
    assert all(abs(corrected.scores[layer]) < raw.scores[layer] / 2 for layer in (0, 1))  # it was all chance


def test_dictionaries_are_scored_by_every_score_of_mean_usage_and_the_one_asked_for() -> None:
    sides, asked = documents(12, 12), PLAIN.model_copy(update={"score": "auroc_top_k"})
    read = {
        ("random", 0): LAYERS[0],
        ("random", 1): LAYERS[1],
        ("none", 0): LAYERS[1],
        ("none", 1): LAYERS[0],
    }
    random, none = score_dictionaries(
        ["random", "none"], [0, 1], lambda layer, name: read[name, layer], sides, asked
    )
    assert (random.name, none.name) == ("random", "none")
    by_mean = {name for name, row in SCORES.items() if row.needs == ("usage",)}
    assert random.scores.keys() == by_mean | {"auroc_top_k"}
    for name, scores in random.scores.items():
        assert none.scores[name] == {0: scores[1], 1: scores[0]}
