"""Our own JumpReLU encoder on Gemma Scope 2's files, against SAELens on the same parameters."""

from pathlib import Path

import pytest
import torch

from sae_merge_method.errors import RefusedSaeError, SaeError
from sae_merge_method.saes.encoders import Encoder, LoadedEncoder, load_jumprelu
from sae_merge_method.saes.find import find_sae
from sae_merge_method.saes.formats import FORMATS
from sae_merge_method.saes.opening import load_sae
from tests.diagnose import hosts


def load(folder: Path, dtype: torch.dtype = torch.float32) -> LoadedEncoder:
    names = FORMATS["Gemma Scope 2"].tensors
    return load_jumprelu(folder / "params.safetensors", names, dtype, torch.device("cpu"))


def encoder_of(folder: Path, dtype: torch.dtype = torch.float32) -> Encoder:
    return load(folder, dtype).encoder


def test_features_and_reconstruction_are_those_of_saelens(tmp_path: Path) -> None:
    from sae_lens import JumpReLUSAE, JumpReLUSAEConfig
    from safetensors.torch import load_file

    folder = hosts.save_raw(tmp_path / "raw", 2)
    tensors = load_file(folder / "params.safetensors")
    reference = JumpReLUSAE(JumpReLUSAEConfig(d_in=32, d_sae=48, apply_b_dec_to_input=False))
    reference.load_state_dict(
        {
            "W_enc": tensors["w_enc"],
            "W_dec": tensors["w_dec"],
            **{name: tensors[name] for name in ("b_enc", "b_dec", "threshold")},
        }
    )
    encoder = encoder_of(folder)
    x = torch.randn(200, 32, generator=torch.Generator().manual_seed(7)) * 3
    with torch.no_grad():
        expected = reference.encode(x)
        features = encoder.encode(x)
        assert torch.equal(features > 0, expected > 0)
        torch.testing.assert_close(features, expected)
        torch.testing.assert_close(encoder.decode(features), reference.decode(expected))
    assert 0.05 < (features > 0).float().mean() < 0.95


def test_half_precision_stays_close_to_full(tmp_path: Path) -> None:
    folder = hosts.save_raw(tmp_path / "raw", 2)
    x = torch.randn(200, 32)
    whole = encoder_of(folder).encode(x)
    half = encoder_of(folder, torch.bfloat16).encode(x)
    assert half.dtype == torch.bfloat16
    assert ((half > 0) != (whole > 0)).float().mean() < 0.02


@pytest.mark.parametrize("capability", ["AVX2", "AVX512"])
def test_half_precision_gives_the_same_features_on_every_processor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capability: str
) -> None:
    """Without bfloat16 arithmetic products are taken in float32, block by block, and rounded once."""
    folder = hosts.save_raw(tmp_path / "raw", 2)
    x = torch.randn(50, 32, generator=torch.Generator().manual_seed(0)).bfloat16()
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    monkeypatch.setattr("sae_merge_method.saes.encoders._BLOCK", 24)
    encoder = encoder_of(folder, torch.bfloat16)
    inputs = torch.addmm(encoder.b_enc, x, encoder.w_enc)
    expected = inputs.masked_fill(inputs <= encoder.floor, 0)
    assert (encoder.encode(x) == expected).float().mean() > 0.99
    assert encoder.decode(encoder.encode(x)).shape == (50, 32)


def test_missing_or_misshapen_parameters_are_named(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = hosts.save_raw(tmp_path / "raw", 2)
    tensors = load_file(folder / "params.safetensors")
    save_file({**tensors, "b_dec": torch.zeros(7)}, folder / "params.safetensors")
    with pytest.raises(SaeError, match=r"expected b_dec of shape \(32,\)"):
        load(folder)
    save_file({"w_enc": tensors["w_enc"]}, folder / "params.safetensors")
    with pytest.raises(SaeError, match="expected w_enc, w_dec, b_enc"):
        load(folder)


def test_an_sae_that_saelens_gives_heads_one_by_one_reads_them_side_by_side(tmp_path: Path) -> None:
    from sae_lens import SAE

    folder = hosts.save_sae(
        tmp_path / "sae", 2, hook="blocks.2.attn.hook_z", kind="standard", reshape_activations="hook_z"
    )
    address, cpu = find_sae(str(folder), None, 2), torch.device("cpu")
    encoder = load_sae(address, hosts.D_MODEL, torch.float32, cpu, "heads").encoder
    heads = torch.randn(20, 2, hosts.D_MODEL // 2, generator=torch.Generator().manual_seed(7))
    with torch.no_grad():
        assert torch.equal(encoder.encode(heads.flatten(1)), SAE.load_from_disk(folder).encode(heads))
    with pytest.raises(RefusedSaeError, match=r"reads inside attention \(hook_z\)"):
        load_sae(address, hosts.D_MODEL, torch.float32, cpu)
