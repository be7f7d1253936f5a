"""Donors, and a dictionary, of which it is known what a projection keeps of them."""

import numpy as np
import torch

from sae_merge_method.geometry.basis import orthonormal_basis
from sae_merge_method.geometry.projection import project
from sae_merge_method.models.tensor_names import decoder_layer
from tests import tiny
from tests.geometry import scenes


def gaussian(tensors: tiny.Tensors) -> None:
    """A donor whose task vector is Gaussian: the base plus noise."""
    base = tiny.text_tensors(0)
    generator = torch.Generator().manual_seed(9)
    for name in tensors:
        tensors[name] = base[name] + 0.1 * torch.randn(base[name].shape, generator=generator)


def inside_the_span(tensors: tiny.Tensors) -> None:
    """A donor that differs within the span of features 0, 2, 4, 6, the four most selective ones."""
    base = tiny.text_tensors(0)
    for name, tensor in base.items():
        layer = decoder_layer(name)
        change = torch.zeros_like(tensor)
        if layer is not None and "q_norm" not in name and "k_norm" not in name:
            u = orthonormal_basis(scenes.random_decoder(layer)[[0, 2, 4, 6]].numpy()).columns
            noise = 0.1 * np.random.default_rng(len(name)).standard_normal(tensor.shape, dtype=np.float32)
            writes = tensor.ndim == 1 or "o_proj" in name or "down_proj" in name
            change = torch.from_numpy(project(noise, u.astype(np.float32), 0 if writes else 1))
        tensors[name] = tensor + change


def crowded(d_sae: int, layer: int) -> torch.Tensor:
    """A dictionary whose directions nearly all lie in the same 4 of 16 dimensions."""
    generator = torch.Generator().manual_seed(layer)
    stretch = torch.tensor([5.0] * 4 + [0.5] * (tiny.D_MODEL - 4))
    return torch.randn(d_sae, tiny.D_MODEL, generator=generator) * stretch


def in_the_crowd(tensors: tiny.Tensors) -> None:
    """A donor that differs most in these dimensions, wherever it meets the residual stream."""
    base = tiny.text_tensors(0)
    for name, tensor in base.items():
        change = 0.1 * torch.randn(tensor.shape, generator=torch.Generator().manual_seed(len(name)))
        stretch = torch.tensor([1.0] * 4 + [0.1] * (tiny.D_MODEL - 4))
        if tensor.shape[-1] == tiny.D_MODEL:
            change = change * stretch
        elif tensor.ndim == 2 and tensor.shape[0] == tiny.D_MODEL:
            change = change * stretch[:, None]
        tensors[name] = tensor + change


def loud_dimension(tensors: tiny.Tensors) -> None:
    """A donor whose reading tensors differ in dimension 0 alone, and in the others by a tenth of that."""
    base = tiny.text_tensors(0)
    for name, tensor in base.items():
        change = torch.zeros_like(tensor)
        if tensor.ndim == 2 and tensor.shape[1] == tiny.D_MODEL and "layers" in name:
            change = 0.01 * torch.ones_like(tensor)
            change[:, 0] = 0.1
        tensors[name] = tensor + change
