"""What a device beside the processor is asked for: the same as a processor tells, and nothing on the way.

A processor plays the device; torch's meta device, which holds no numbers, shows that none is asked for.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sae_merge_method.diagnose import active_features, batch_usage
from sae_merge_method.diagnose.batch_usage import BatchUsage
from sae_merge_method.diagnose.fetching import fetch
from sae_merge_method.diagnose.on_device import Held, LayoutThere, hold
from sae_merge_method.diagnose.on_processor import use_of
from sae_merge_method.diagnose.scales import CountingRule
from sae_merge_method.diagnose.token_layout import TokenLayout
from sae_merge_method.diagnose.usage import PartialUsage, Reading
from sae_merge_method.errors import ModelError, SaeError
from sae_merge_method.saes.dictionaries import DirectionsEncoder
from sae_merge_method.saes.encoders import JumpReluEncoder
from tests.diagnose import hosts
from tests.diagnose.test_usage import KINDS, layout, load

TOKENS = [5, 1, 2, 7, 9]
LIMIT = 60.0


def laid_out() -> TokenLayout:
    """Documents of two sides and a twin; every second token is sampled."""
    classes = np.random.default_rng(0).integers(0, 4, sum(TOKENS)).tolist()
    of = layout(TOKENS, classes, [0, 1, 1, -1, 0])
    return of._replace(sampled=np.arange(sum(TOKENS)) % 2 == 0, places=of.places + 1)


def activations(seed: int = 0) -> torch.Tensor:
    """Among them outliers, of which one document has no other token."""
    drawn = torch.randn(sum(TOKENS), hosts.D_MODEL, generator=torch.Generator().manual_seed(seed))
    drawn[[2, 5, 10, 20]] *= 100
    return drawn


def reading(encoder: object, *, leaves_out: bool = True, device: str = "cpu") -> Reading:
    directions = DirectionsEncoder(torch.eye(hosts.D_MODEL, device=device), None)
    rule = CountingRule(LIMIT, leaves_out, activations()[:2].mean(0).numpy())
    return Reading(encoder, rule, "layer 7", [directions])


def assert_same(one: Sequence[PartialUsage], other: Sequence[PartialUsage]) -> None:
    assert len(one) == len(other)
    for ours, theirs in zip(one, other, strict=True):
        for rows in ("counted", "outliers"):
            for left, right in zip(getattr(ours, rows), getattr(theirs, rows), strict=True):
                assert left.dtype == right.dtype
                np.testing.assert_allclose(left, right, rtol=1e-5)
        np.testing.assert_array_equal(ours.outlier_tokens, theirs.outlier_tokens)
        np.testing.assert_array_equal(ours.outlier_ids, theirs.outlier_ids)
        np.testing.assert_allclose(ours.without.sums, theirs.without.sums, rtol=1e-5, atol=1e-5)
        np.testing.assert_array_equal(ours.without.documents, theirs.without.documents)
        np.testing.assert_allclose(ours.fit.explained, theirs.fit.explained, rtol=1e-4, atol=1e-5)
        assert ours.fit[1:] == pytest.approx(theirs.fit[1:], rel=1e-4)


@pytest.mark.parametrize("leaves_out", [True, False])
@pytest.mark.parametrize("kind", [*KINDS, "raw"])
def test_a_device_tells_what_a_processor_tells(tmp_path: Path, kind: str, leaves_out: bool) -> None:
    raw = kind == "raw"
    sae = load(
        hosts.save_raw(tmp_path / "sae", 2)
        if raw
        else hosts.save_sae(tmp_path / "sae", 2, kind=kind, **KINDS[kind])
    )
    asked, of = reading(sae.encoder, leaves_out=leaves_out), laid_out()
    there = LayoutThere.on(torch.device("cpu"), of)
    streams = [activations(seed) for seed in range(3)]
    told = list(fetch([hold(asked, stream, there) for stream in streams]))
    for stream, ours in zip(streams, told, strict=True):
        assert_same(ours, use_of(asked, stream, of))
    counted = told[0][0].counted
    assert (counted.peaks > 0).any() and len(counted.means)
    assert bool(len(told[0][0].outliers.means)) == leaves_out
    assert told[0][0].without.sums.any() and len(told[0][0].fit.explained) == (9 if leaves_out else 12)


@pytest.mark.parametrize("kind", ["raw", "topk"])
def test_a_batch_may_have_no_sampled_token_and_no_class(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "sae"
    sae = load(hosts.save_raw(folder, 2) if kind == "raw" else hosts.save_sae(folder, 2, kind="topk", k=5))
    of = laid_out()._replace(sampled=np.zeros(sum(TOKENS), dtype=bool), n_classes=0)
    (told,) = fetch([hold(reading(sae.encoder), activations(), LayoutThere.on(torch.device("cpu"), of))])
    assert_same(told, use_of(reading(sae.encoder), activations(), of))
    assert not len(told[0].fit.explained) and told[0].without.sums.shape[:2] == (2, 0)


def on_meta(encoder: JumpReluEncoder) -> JumpReluEncoder:
    """The same without numbers."""
    parts = (encoder.w_enc, encoder.b_enc, encoder.b_dec, encoder.floor)
    w_dec = encoder._read_w_dec().to("meta")
    return JumpReluEncoder(*(part.to("meta") for part in parts), read_w_dec=lambda: w_dec)


def test_nothing_is_asked_of_a_device_while_a_batch_is_read(tmp_path: Path) -> None:
    sae = load(hosts.save_raw(tmp_path / "sae", 2))
    asked = reading(on_meta(sae.encoder), device="meta")
    usage = BatchUsage(laid_out())
    for layer in range(3):
        usage.read(layer, asked, activations().to("meta"))
    with pytest.raises(NotImplementedError, match="meta"):  # it is asked for numbers here, and has none
        usage.told()


def test_a_batch_is_fetched_in_parts_where_it_holds_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By what makes any device one that waits: here the processor plays it."""
    asked, of = reading(load(hosts.save_raw(tmp_path / "sae", 2)).encoder), laid_out()
    parts: list[int] = []

    def counted(held: Sequence[object]) -> object:
        parts.append(len(held))
        return fetch(held)

    monkeypatch.setattr(batch_usage, "fetch", counted)
    monkeypatch.setattr(batch_usage, "_is_asked_at_once", lambda device: False)
    monkeypatch.setattr(batch_usage, "MOST_HELD", hold_bytes(asked, of) * 2)
    usage = BatchUsage(of)
    for layer in range(5):
        usage.read(layer, asked, activations(layer))
    told = usage.told()
    assert parts == [3, 2] and list(told) == list(range(5))
    for layer in range(5):
        assert_same(told[layer], use_of(asked, activations(layer), of))


def test_on_a_processor_many_active_features_are_summed_as_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Known of a dictionary, found of an SAE: so few tokens are never too many, unless the bound is lower."""
    of, sums = laid_out(), {"few": 0, "many": 0}

    def few(*given: Any) -> tuple[PartialUsage, ...]:
        sums["few"] += 1
        return use_of(*given)

    def many(*given: Any) -> Held:
        sums["many"] += 1
        return hold(*given)

    monkeypatch.setattr(batch_usage, "use_of", few)
    monkeypatch.setattr(batch_usage, "hold", many)
    sae = reading(load(hosts.save_raw(tmp_path / "sae", 2)).encoder)
    dictionary = Reading(DirectionsEncoder(torch.eye(hosts.D_MODEL), None), sae.rule, "layer 7")
    for asked, bound, counts in ((sae, 1 << 16, (1, 0)), (sae, 0, (2, 1)), (dictionary, 1 << 16, (2, 2))):
        monkeypatch.setattr(active_features, "_FEW", bound)
        usage = BatchUsage(of)
        usage.read(7, asked, activations())
        told = usage.told()[7]
        assert tuple(sums.values()) == counts
        monkeypatch.setattr(active_features, "_FEW", 1 << 16)
        assert_same(told, use_of(asked, activations(), of))


def hold_bytes(asked: Reading, of: TokenLayout) -> int:
    return hold(asked, activations(), LayoutThere.on(torch.device("cpu"), of)).nbytes


def _nan_in_stream(stream: torch.Tensor, encoder: JumpReluEncoder) -> None:
    stream[3, 1] = torch.nan


def _nan_in_features(stream: torch.Tensor, encoder: JumpReluEncoder) -> None:
    encoder.w_enc[1, 1] = torch.nan


def _overflow_at_an_outlier(stream: torch.Tensor, encoder: JumpReluEncoder) -> None:
    stream[2] *= 1e15
    encoder.w_enc[:, 1] = stream[2].sign() * 1e25


def _nan_in_decoder(stream: torch.Tensor, encoder: JumpReluEncoder) -> None:
    encoder.b_dec[1] = torch.inf


@pytest.mark.parametrize(
    ("damage", "error", "words"),
    [
        (_nan_in_stream, ModelError, "what layer 7 puts out is NaN or infinite at 1 tokens"),
        (_nan_in_features, SaeError, "the SAE of layer 7 encodes to NaN or infinite numbers"),
        (_overflow_at_an_outlier, SaeError, "the SAE of layer 7 encodes to NaN or infinite numbers"),
        (_nan_in_decoder, SaeError, "the SAE of layer 7 decodes to NaN or infinite numbers"),
    ],
)
def test_what_is_no_number_is_told_either_way(
    tmp_path: Path,
    damage: Callable[[torch.Tensor, JumpReluEncoder], None],
    error: type[Exception],
    words: str,
) -> None:
    encoder, stream = load(hosts.save_raw(tmp_path / "sae", 2)).encoder, activations()
    damage(stream, encoder)
    held = hold(reading(encoder), stream, LayoutThere.on(torch.device("cpu"), laid_out()))
    with pytest.raises(error, match=words):
        list(fetch([held]))
    with pytest.raises(error, match=words):
        use_of(reading(encoder), stream, laid_out())
