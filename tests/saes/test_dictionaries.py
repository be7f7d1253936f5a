"""Dictionaries that nobody trained: laws of their features, and a diagnosis with them alone."""

import pytest
import torch

from sae_merge_method.errors import UsageError
from sae_merge_method.saes.dictionaries import DICTIONARIES, Sizes, largest_unasked, load_dictionary
from sae_merge_method.saes.find import find_sae, find_saes
from sae_merge_method.saes.opening import open_sae

CPU = torch.device("cpu")
D = 12


def residual(tokens: int = 5) -> torch.Tensor:
    return torch.randn(tokens, D, generator=torch.Generator().manual_seed(1))


def test_random_directions_have_length_one_and_are_the_same_every_time() -> None:
    row = DICTIONARIES["random"]
    one, again, other = (row.directions(D, 40, layer) for layer in (3, 3, 4))
    torch.testing.assert_close(one.norm(dim=1), torch.ones(40))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


def test_beside_an_sae_as_many_features_are_active_at_each_token_and_they_are_the_largest() -> None:
    encoder = load_dictionary(DICTIONARIES["random"], Sizes(40, None), 0, D, torch.float32, CPU)
    active, centre = torch.tensor([0, 1, 3, 40, 7]), torch.full((D,), 0.5)
    features = encoder.encode_beside(residual(), centre, active)
    along = (residual() - centre) @ encoder.directions.T
    for row, whole, count in zip(features, along, active, strict=True):
        expected = min(int(count), int((whole > 0).sum()))
        assert int((row > 0).sum()) == expected
        torch.testing.assert_close(
            row.sort(descending=True).values[:expected], whole.sort(descending=True).values[:expected]
        )


def test_as_many_are_active_as_the_id_says_in_any_precision() -> None:
    encoder = load_dictionary(DICTIONARIES["random"], Sizes(900, 257), 0, D, torch.bfloat16, CPU)
    encoder.directions = encoder.directions.bfloat16()
    assert (encoder.encode(residual()) > 0).sum(1).tolist() == [257] * 5


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_a_device_that_is_not_waited_for_finds_the_largest_and_of_equal_ones_the_first(
    dtype: torch.dtype,
) -> None:
    drawn = torch.randn(200, 90, generator=torch.Generator().manual_seed(2)).clamp_min(0)
    drawn[:50] = drawn[:50].round(decimals=1)  # many are equal
    drawn[50, 3] = torch.inf
    features = drawn.to(dtype)
    count = torch.randint(0, 92, (200,), generator=torch.Generator().manual_seed(3))
    found = largest_unasked(features, count)
    for row, whole, most in zip(found, features, count.tolist(), strict=True):
        order = whole.float().sort(descending=True, stable=True).indices[:most]
        assert torch.equal(row, torch.zeros_like(row).index_copy(0, order, whole[order]))
    asked = largest_unasked(features.to("meta"), count.to("meta"))
    assert asked.shape == features.shape


def test_the_streams_own_coordinates_are_its_positive_and_negative_parts() -> None:
    sae = open_sae(find_sae("none", None, 2), D)
    assert (sae.d_sae, sae.d_in) == (2 * D, D)
    loaded = sae.load(torch.float32, CPU)
    x = residual()
    features = loaded.encoder.encode(x)
    torch.testing.assert_close(features[:, :D], x.clamp_min(0))
    torch.testing.assert_close(features[:, D:], (-x).clamp_min(0))
    torch.testing.assert_close(loaded.encoder.decode(features), x)


@pytest.mark.parametrize(("id", "width", "l0"), [("width_48_l0_5", 48, 5), ("width_1k_l0_50", 1024, 50)])
def test_random_directions_have_the_size_that_their_id_says(id: str, width: int, l0: int) -> None:
    (address,) = find_saes("random", id, [2])
    sae = open_sae(address, D)
    features = sae.load(torch.float32, CPU).encoder.encode(residual())
    assert features.shape == (5, width)
    assert int((features > 0).sum(1).max()) <= l0
    assert sae.directions([0, 7]).shape == (2, D)


def test_random_directions_without_a_size_are_refused() -> None:
    with pytest.raises(UsageError, match="expected --sae-id width_16k_l0_50"):
        open_sae(find_saes("random", None, [0])[0], D)
