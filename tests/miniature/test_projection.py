"""Laws of the scalpel: an orthogonal projection on the right side of each tensor, and what chance keeps."""

import pytest
import torch

from sae_merge_method.miniature.projection import energy, orthonormal_basis, project, random_basis

D, N = 64, 40
SHAPES = {
    "model.layers.0.self_attn.q_proj.weight": (N, D),
    "model.layers.0.self_attn.k_proj.weight": (N, D),
    "model.layers.0.self_attn.v_proj.weight": (N, D),
    "model.layers.0.self_attn.o_proj.weight": (D, N),
    "model.layers.0.mlp.gate_proj.weight": (N, D),
    "model.layers.0.mlp.up_proj.weight": (N, D),
    "model.layers.0.mlp.down_proj.weight": (D, N),
    "model.layers.0.input_layernorm.weight": (D,),
    "model.layers.0.post_feedforward_layernorm.weight": (D,),
}


def _tau(shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", SHAPES)
def test_projecting_twice_is_projecting_once_and_the_rest_is_orthogonal(name):
    tau, basis = _tau(SHAPES[name]), random_basis(D, 5, seed=1)
    part = project(tau, name, basis)
    torch.testing.assert_close(project(part, name, basis), part)
    assert energy(part) + energy(tau - part) == pytest.approx(energy(tau), rel=1e-5)


@pytest.mark.parametrize("name", SHAPES)
def test_the_whole_space_keeps_everything(name):
    tau = _tau(SHAPES[name])
    torch.testing.assert_close(project(tau, name, random_basis(D, D, seed=2)), tau)


@pytest.mark.parametrize("name", SHAPES)
def test_a_random_subspace_keeps_about_r_over_d(name):
    rank = 4
    kept = [
        energy(project(tau, name, random_basis(D, rank, seed))) / energy(tau)
        for seed in range(60)
        for tau in [_tau(SHAPES[name], seed)]
    ]
    assert sum(kept) / len(kept) == pytest.approx(rank / D, rel=0.25)


def test_a_writing_tensor_is_projected_on_its_outputs_and_a_reading_one_on_its_inputs():
    basis = random_basis(D, 1, seed=3)
    u = basis[:, 0].float()
    x = torch.randn(D)
    writes = project(_tau((D, N)), "model.layers.3.mlp.down_proj.weight", basis) @ torch.randn(N)
    torch.testing.assert_close(writes, u * (u @ writes))
    reading = project(_tau((N, D)), "model.layers.3.self_attn.v_proj.weight", basis)
    torch.testing.assert_close(reading @ x, reading @ (u * (u @ x)))


@pytest.mark.parametrize("norm", ["q_norm", "k_norm"])
def test_a_tensor_without_a_residual_axis_keeps_nothing(norm):
    name = f"model.layers.0.self_attn.{norm}.weight"
    assert energy(project(torch.ones(16), name, random_basis(D, 2, seed=0))) == 0.0


def test_dependent_directions_count_once():
    directions = torch.randn(3, D, generator=torch.Generator().manual_seed(0))
    basis = orthonormal_basis(torch.cat([directions, directions[:1] * 2, directions[:1] + directions[1:2]]))
    assert basis.shape == (D, 3)
    torch.testing.assert_close(basis.T @ basis, torch.eye(3, dtype=torch.float64))
    torch.testing.assert_close(basis @ (basis.T @ directions.double().T), directions.double().T)
