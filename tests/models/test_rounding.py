"""A way to round is a row: recipes, both engines, mergekit and an audit take one that is added."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sae_merge_method.models.dtypes import DTYPES, narrow
from sae_merge_method.models.rounding import ROUNDINGS, Rounding, RoundingKind
from sae_merge_method.verify.audit import verify
from tests import tiny
from tests.mergekit import plain_mergekit
from tests.recipes import recipe_text, run_recipe

BF16 = torch.bfloat16


def _cut_off(values: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    return (values.view(torch.int32) & ~0xFFFF).view(torch.float32).to(dtype)


@pytest.fixture
def towards_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    """A third way: what bfloat16 cannot hold is cut off."""

    def in_numpy(values: Any, dtype: str, out: Any, spare: Any, random: Any, first: int) -> bool:
        cut = (values.view("<u4") & np.uint32(0xFFFF0000)).view(np.float32)
        return narrow(cut, dtype, out, spare)

    row = RoundingKind("towards zero", False, in_numpy, lambda values, dtype, *_: _cut_off(values, dtype))
    monkeypatch.setitem(ROUNDINGS, "zero", row)


@pytest.mark.usefixtures("towards_zero")
def test_a_row_serves_both_engines_mergekit_and_an_audit(tmp_path: Path):
    base, donor = (tiny.gemma3_text(tmp_path / str(seed), seed, dtype=BF16) for seed in (0, 1))
    source = recipe_text(base, donor, 'layers: "1, 3", rounding: zero', "0.3")
    tensors = []
    for engine in ("direct", "mergekit"):
        run_recipe(source, tmp_path / engine, engine=engine)
        assert verify(tmp_path / engine).sound
        tensors.append(tiny.load_tensors(tmp_path / engine))
    tensors.append(plain_mergekit(source, tmp_path / "stock"))
    name = "model.layers.1.mlp.up_proj.weight"
    theta, given = (tiny.load_tensors(folder)[name].float() for folder in (base, donor))
    expected = _cut_off(theta + (given - theta) * 0.3, BF16)
    assert all(tiny.same_bytes(one[name], expected) for one in tensors)


@pytest.mark.parametrize("kind", ROUNDINGS)
@pytest.mark.parametrize("source", [torch.float32, torch.float64])
def test_numpy_torch_and_the_quick_way_give_the_same_bits(kind: str, source: torch.dtype):
    values = torch.randn(7, 50, generator=torch.Generator().manual_seed(0), dtype=source)
    for stored, dtype in (("BF16", BF16), ("F16", torch.float16), ("F32", torch.float32)):
        out = np.empty(values.numel(), DTYPES[stored].numpy)
        flat = values.flatten().numpy()
        assert Rounding(kind, 3).narrow(flat, stored, out, np.empty_like(flat), "x", 0)
        for rounded in (
            Rounding(kind, 3).to(values, dtype, "x"),
            Rounding(kind, 3).to_quickly(values, dtype, "x"),
        ):
            assert rounded.shape == values.shape
            assert rounded.flatten().view(torch.uint8).numpy().tobytes() == out.tobytes()


@pytest.mark.parametrize("kind", ROUNDINGS)
def test_what_overflows_or_is_no_number_stays_to_be_found(kind: str):
    values = torch.tensor([1.0, 3.4e38, torch.nan])
    for way in (Rounding(kind).to, Rounding(kind).to_quickly):
        assert torch.isfinite(way(values, BF16, "x")).tolist() == [True, False, False]
        assert way(values[:2], BF16, "x").tolist() == [1.0, torch.inf]


def test_the_rows_say_what_they_do():
    assert all(row.description for row in ROUNDINGS.values())
    assert (str(Rounding()), str(Rounding("stochastic", 4))) == ("nearest", "stochastic (seed 4)")
