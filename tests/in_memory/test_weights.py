"""What a file would hold of an edit: rounded as a merge rounds, wherever the numbers are."""

import numpy as np
import pytest
import torch

from sae_merge_method.errors import MergeError
from sae_merge_method.in_memory.opening import open_edited
from sae_merge_method.in_memory.weights import by_unit, nearest, nearest_there, stochastic
from tests.in_memory.models import llama, near


def test_a_wide_model_computes_with_what_a_narrow_checkpoint_would_hold(tmp_path):
    base = llama(tmp_path / "base", dtype="bfloat16")
    near(base, tmp_path / "donor", size=0.01)
    with open_edited(str(base), [str(tmp_path / "donor")], beside=tmp_path, dtype="float32") as edited:
        edited.set_weights(by_unit({0: 0.3}))
        exact = edited.tensors[0].parameter.detach().clone()
        edited.set_weights(by_unit({0: 0.3}), nearest)
        assert edited.tensors[0].parameter.detach().equal(exact.to(torch.bfloat16).float())
        assert not edited.tensors[0].parameter.detach().equal(exact)


def test_stochastic_rounding_keeps_the_mean_of_what_a_narrow_checkpoint_would_hold(tmp_path):
    base = llama(tmp_path / "base", dtype="bfloat16")
    near(base, tmp_path / "donor", size=0.01)
    with open_edited(str(base), [str(tmp_path / "donor")], beside=tmp_path, dtype="float32") as edited:
        parameter = edited.tensors[2].parameter
        edited.set_weights(by_unit({0: 0.3}))
        exact = parameter.detach().clone()
        draws = []
        for seed in range(200):
            edited.set_weights(by_unit({0: 0.3}), stochastic(seed))
            draws.append(parameter.detach().clone())
        assert all(draw.equal(draw.to(torch.bfloat16).float()) for draw in draws[:5])
        step = float((draws[0] - exact).abs().max())
        torch.testing.assert_close(torch.stack(draws).mean(0), exact, atol=step / 4, rtol=0)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32"])
def test_rounding_where_the_numbers_are_gives_the_bits_of_a_merge(tmp_path, dtype):
    llama(tmp_path / "base", dtype=dtype)
    near(tmp_path / "base", tmp_path / "donor")
    with open_edited(str(tmp_path / "base"), [str(tmp_path / "donor")], beside=tmp_path) as edited:
        entry = edited.tensors[0].base
    values = torch.randn(entry.shape) * 10.0 ** torch.randint(-8, 3, entry.shape)
    written = nearest_there(values, entry)
    assert np.array_equal(written.numpy(), nearest(values.numpy(), entry))
    with pytest.raises(MergeError, match="the edit overflows"):
        nearest_there(values.double() * 1e300, entry)
