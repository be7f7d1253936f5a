"""Features and error add up to a layer's own first-order effect, in every format; whose a feature is."""

import numpy as np
import pytest
import torch

from sae_merge_method.attribute.feature_sums import dealt, preferences
from sae_merge_method.attribute.features import passed
from sae_merge_method.attribute.streams import Streams
from tests.diagnose import hosts
from tests.saes.at_hand import sae_at

D_MODEL = 16
CPU = torch.device("cpu")
KINDS = [
    ("raw", {}),
    ("jumprelu", {}),
    ("standard", {}),
    ("standard", {"normalize_activations": "constant_norm_rescale"}),
    ("topk", {"k": 5}),
    ("topk", {"k": 5, "rescale_acts_by_decoder_norm": True}),
    ("gated", {"normalize_activations": "layer_norm"}),
]


@pytest.mark.parametrize(("kind", "config"), KINDS)
def test_features_and_error_add_up_to_the_effect_in_every_format(tmp_path, kind, config):
    save = hosts.save_raw if kind == "raw" else hosts.save_sae
    save(tmp_path / "1", 1, d_in=D_MODEL, **({} if kind == "raw" else {"kind": kind}), **config)
    sae = sae_at(tmp_path / "1", 1).load(torch.float32, CPU)
    draws = torch.Generator().manual_seed(0)
    base, step, gradient = (torch.randn(300, D_MODEL, generator=draws) for _ in range(3))
    edited = base + 0.3 * step
    counts = np.arange(300) > 0
    found = passed(sae, [Streams(base, edited, gradient)], [0], [counts], CPU)
    rebuilt = [sae.encoder.decode(sae.encoder.encode(states)) for states in (base, edited)]
    without = [_without_features(sae.encoder, states) for states in (base, edited)]
    kept = torch.from_numpy(counts)
    # What is left of the output once the features' own part is gone: the SAE's error, and its biases.
    left = [states - (one - none) for states, one, none in zip((base, edited), rebuilt, without, strict=True)]
    error = -float((gradient * (left[1] - left[0]))[kept].double().sum())
    whole = -float((gradient * (edited - base))[kept].double().sum())
    assert found.gain.sum() + error == pytest.approx(whole, abs=1e-3)
    assert found.effect.sum() == pytest.approx(whole)
    assert found.uncounted.sum() == pytest.approx(-float((gradient * (edited - base))[0].sum()), rel=1e-4)


def _without_features(encoder, states):
    features = encoder.encode(states)
    return encoder.decode(torch.zeros_like(features))


def test_a_feature_gets_its_gradient_times_its_change(tmp_path):
    hosts.save_raw(tmp_path / "1", 1, d_in=D_MODEL)
    sae = sae_at(tmp_path / "1", 1)
    loaded = sae.load(torch.float32, CPU)
    draws = torch.Generator().manual_seed(0)
    base, edited, gradient = (torch.randn(20, D_MODEL, generator=draws) for _ in range(3))
    found = passed(loaded, [Streams(base, edited, gradient)], [3], [np.ones(20, np.bool_)], CPU)
    change = loaded.encoder.encode(edited) - loaded.encoder.encode(base)
    slopes = gradient @ torch.from_numpy(sae.directions(range(loaded.source.d_sae))).T
    each = -(slopes * change)
    for feature, gain, peak, token in zip(found.feature, found.gain, found.peak, found.token, strict=True):
        assert gain == pytest.approx(float(each[:, feature].sum()), abs=1e-4)
        assert peak == pytest.approx(float(each[:, feature].abs().max()), abs=1e-4)
        assert token == int(each[:, feature].abs().argmax())
    assert found.group.tolist() == [3]


def test_tokens_of_outlying_norm_are_not_asked_about(tmp_path):
    hosts.save_raw(tmp_path / "1", 1, d_in=D_MODEL)
    sae = sae_at(tmp_path / "1", 1).load(torch.float32, CPU)
    base, edited = torch.ones(5, D_MODEL), torch.ones(5, D_MODEL) * 2
    base[2] *= 100
    found = passed(sae, [Streams(base, edited, torch.ones(5, D_MODEL))], [0], [np.ones(5, np.bool_)], CPU)
    assert found.tokens.tolist() == [4]
    assert found.uncounted[0] == pytest.approx(float((base[2] - edited[2]).sum()))


def test_a_feature_that_no_control_uses_is_the_targets_own():
    found = preferences(np.array([1.0, 1.0, 3.0, 1.0, 0.0]), np.array([0.0, 1.0, 1.0, 2.0, 0.0]))
    assert found.tolist() == [1, 0, 0.5, 0, 0]


def test_preferences_that_are_all_alike_are_dealt_to_the_same_sum():
    gains = np.array([1.0, -2.0, 4.0])
    found = dealt(gains, np.full(3, 0.5), np.array([1.0, 2.0, 0.0]), seed=0)
    assert found == pytest.approx(np.full(len(found), -0.5))  # the third is not in use
