"""A scalpel's bits do not depend on how many threads there are: Python's, or BLAS's own."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_info, threadpool_limits

from sae_merge_method.artifacts.method_parameters import ScalpelParameters
from sae_merge_method.files.parallel import run_all
from sae_merge_method.geometry.one_thread import one_blas_thread
from sae_merge_method.recipe.scalpel import Scalpel
from tests.geometry import scenes

D, RANK = 1536, 48  # sizes at which OpenBLAS splits the work, and then sums in another order


@pytest.fixture
def parameters(tmp_path: Path) -> ScalpelParameters:
    decoder = torch.randn(RANK, D, generator=torch.Generator().manual_seed(0))
    scenes.save_sae(tmp_path / "layer_0", 0, decoder)
    return ScalpelParameters(sae=f"{tmp_path}/layer_{{layer}}", features=f"0-{RANK - 1}", energy_match=True)


def filtered(parameters: ScalpelParameters, threads: int) -> list[bytes]:
    """Six large tensors, filtered by several threads as the direct engine does."""
    rng = np.random.default_rng(1)
    taus = [
        (f"model.layers.0.mlp.{kind}_proj.weight", rng.standard_normal(shape, dtype=np.float32))
        for kind, shape in (("up", (1100, D)), ("down", (D, 1100))) * 3
    ]
    change = Scalpel(parameters, [0]).filter
    with one_blas_thread():
        results = run_all([partial(change, name, tau) for name, tau in taus], threads)
    assert all(result is not None for result in results)
    return [result.tobytes() for result in results if result is not None]


@pytest.mark.parametrize(("threads", "of_blas"), [(1, 2), (3, 2), (2, 3)])
def test_the_bits_do_not_depend_on_the_number_of_threads(parameters, threads, of_blas):
    with threadpool_limits(1, user_api="blas"):
        alone = filtered(parameters, 1)
    with threadpool_limits(of_blas, user_api="blas"):
        assert filtered(parameters, threads) == alone
        now = {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}
        assert now == {of_blas}  # as it was before
