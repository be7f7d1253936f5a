"""Random bits are Philox4x64-10's, in numpy and torch, and belong to a value of a tensor."""

import numpy as np
import pytest
import torch

from sae_merge_method.models.random_bits import RandomBits, Width, philox

# A known answer of Random123, the code of the authors: counter 0, key 0.
ZERO = (0x16554D9ECA36314C, 0xDB20FE9D672D0FDC, 0xD7E772CEE186176B, 0x7E68B68AEC7BA23B)


def unsigned(words: tuple[torch.Tensor, ...]) -> list[int]:
    return [int(word[0]) & (1 << 64) - 1 for word in words]


def test_torch_computes_philox_as_its_authors_do():
    assert tuple(unsigned(philox(torch.zeros(1, dtype=torch.int64), (0, 0)))) == ZERO


def test_numpy_gives_the_words_of_the_next_counter():
    generator = np.random.Philox(counter=np.array([2**64 - 1] * 4, np.uint64), key=np.zeros(2, np.uint64))
    assert tuple(map(int, generator.random_raw(4))) == ZERO


@pytest.mark.parametrize("width", [16, 32])
@pytest.mark.parametrize("seed", [0, 7, 2**63 + 11])
def test_numpy_and_torch_give_the_same_integers_from_anywhere(width: Width, seed: int):
    bits = RandomBits.of(seed, "model.layers.3.mlp.up_proj.weight")
    for first, count in ((0, 1000), (1, 7), (15, 2), (12345, 0), (2**40 + 5, 100)):
        in_numpy = bits.in_numpy(first, count, width)
        in_torch = bits.in_torch(first, count, width, "cpu")
        assert in_numpy.dtype.itemsize * 8 == width and len(in_numpy) == count
        assert in_torch.tolist() == in_numpy.tolist()


def test_a_value_has_its_bits_however_the_tensor_is_cut():
    bits = RandomBits.of(3, "model.layers.0.mlp.up_proj.weight")
    whole = bits.in_numpy(0, 100, 16)
    assert np.array_equal(np.concatenate([bits.in_numpy(n, 1, 16) for n in range(100)]), whole)


def test_bits_are_of_the_seed_and_of_the_tensor_whatever_its_layout_calls_it():
    name = "layers.3.mlp.up_proj.weight"
    one, *others = (
        RandomBits.of(0, prefix + name)
        for prefix in ("model.", "language_model.model.", "model.language_model.")
    )
    assert all(other == one for other in others)
    streams = [
        RandomBits.of(seed, f"model.layers.{layer}.mlp.up_proj.weight").in_numpy(0, 64, 16).tolist()
        for seed in (0, 1)
        for layer in (0, 1)
    ]
    assert len({tuple(stream) for stream in streams}) == 4


def test_bits_are_uniform():
    drawn = RandomBits.of(0, "model.layers.0.mlp.up_proj.weight").in_numpy(0, 1 << 16, 16)
    counts = np.bincount(drawn >> 8, minlength=256)
    chi_squared = float(((counts - 256.0) ** 2 / 256).sum())
    assert 255 - 4 * 510**0.5 < chi_squared < 255 + 4 * 510**0.5
