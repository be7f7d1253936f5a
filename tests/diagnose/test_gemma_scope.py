"""Gemma Scope 2's own files, against SAELens on the same parameters and from an offline cache."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from sae_merge_method.artifacts.diagnosis import read_diagnosis
from sae_merge_method.errors import SaeError
from sae_merge_method.saes.find import SaeAddress, find_saes, load_sae
from sae_merge_method.saes.gemma_scope import load_from_folder
from tests.diagnose import hosts

CPU = torch.device("cpu")


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
    encoder = load_from_folder(folder, torch.float32, CPU).encoder
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
    whole = load_from_folder(folder, torch.float32, CPU).encoder.encode(x)
    half = load_from_folder(folder, torch.bfloat16, CPU).encoder.encode(x)
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
    monkeypatch.setattr("sae_merge_method.saes.gemma_scope._BLOCK", 24)
    encoder = load_from_folder(folder, torch.bfloat16, CPU).encoder
    inputs = torch.addmm(encoder.b_enc, x, encoder.w_enc)  # type: ignore[attr-defined]
    expected = inputs.masked_fill(inputs <= encoder.floor, 0)  # type: ignore[attr-defined]
    assert (encoder.encode(x) == expected).float().mean() > 0.99
    assert encoder.decode(encoder.encode(x)).shape == (50, 32)


def test_a_folder_template_finds_raw_and_saelens_layers_alike(tmp_path: Path) -> None:
    hosts.save_raw(tmp_path / "saes/layer_0", 0)
    hosts.save_sae(tmp_path / "saes/layer_3", 3)
    addresses = find_saes(str(tmp_path / "saes/layer_{layer}"), None, range(4))
    saes = [load_sae(address, hosts.D_MODEL, torch.float32, CPU) for address in addresses]
    assert [sae.source.hook_point for sae in saes] == ["model.layers.0.output", "blocks.3.hook_resid_post"]


@pytest.mark.parametrize(
    ("layer", "config", "complaint"),
    [
        (1, {}, "belongs to another layer"),
        (2, {"hf_hook_point_in": "model.layers.2.self_attn.o_proj.input"}, "expected the output of block 2"),
        (2, {"hf_hook_point_in": None}, "a place it does not name"),
        (2, {"architecture": "topk"}, "expected the architecture jump_relu"),
        (2, {"affine_connection": True}, "is a transcoder"),
        (2, {"d_in": 16}, "width 16"),
    ],
)
def test_what_does_not_fit_is_refused(
    tmp_path: Path, layer: int, config: dict[str, object], complaint: str
) -> None:
    folder = hosts.save_raw(tmp_path / "raw", layer, **config)  # type: ignore[arg-type]
    with pytest.raises(SaeError) as caught:
        load_sae(SaeAddress(2, str(folder), "", folder), hosts.D_MODEL, torch.float32, CPU)
    assert complaint in str(caught.value)


def test_missing_or_misshapen_parameters_are_named(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = hosts.save_raw(tmp_path / "raw", 2)
    tensors = load_file(folder / "params.safetensors")
    save_file({**tensors, "b_dec": torch.zeros(7)}, folder / "params.safetensors")
    with pytest.raises(SaeError, match=r"expected b_dec of shape \(32,\)"):
        load_from_folder(folder, torch.float32, CPU)
    save_file({"w_enc": tensors["w_enc"]}, folder / "params.safetensors")
    with pytest.raises(SaeError, match="expected w_enc, w_dec, b_enc"):
        load_from_folder(folder, torch.float32, CPU)
    (folder / "config.json").unlink()
    with pytest.raises(SaeError, match="expected the configuration"):
        load_from_folder(folder, torch.float32, CPU)


def test_an_offline_cache_serves_a_release_without_saelens_or_a_network(
    tmp_path: Path, gemma3: Path, maths: Path, prose: Path
) -> None:
    """The command in a process of its own, every connection refused, SAELens never imported."""
    repo = tmp_path / "hub/hub/models--google--gemma-scope-2-4b-it"
    commit = "0" * 40
    (repo / "refs").mkdir(parents=True)
    (repo / "refs/main").write_text(commit)
    for layer in (1, 2):
        place = f"snapshots/{commit}/resid_post_all/layer_{layer}_width_16k_l0_small"
        hosts.save_raw(repo / place, layer)
    release = ["--sae", "gemma-scope-2-4b-it-res-all", "--sae-id", "layer_{layer}_width_16k_l0_small"]
    program = """
import socket, sys
def refuse(*arguments, **_):
    raise AssertionError(f"a connection to {arguments}")
socket.socket.connect = refuse
socket.create_connection = refuse
from sae_merge_method.cli.diagnose import command
from sae_merge_method.errors import SaeError
command([*sys.argv[1:], "--layers", "1, 2"], standalone_mode=False)
try:
    command([*sys.argv[1:], "--layers", "1-3", "--overwrite"], standalone_mode=False)
except SaeError as error:
    print(error)
assert "sae_lens" not in sys.modules
"""
    arguments = ["--model", gemma3, "--target", maths, "--control", prose, "--out", tmp_path / "out"]
    draws = ["--permutations", "20", "--bootstrap", "20"]
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments), *release, *draws],
        env={**os.environ, "HF_HOME": str(tmp_path / "hub"), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    entry = read_diagnosis(tmp_path / "out").layers[0]
    assert (entry.layer, entry.sae.id) == (1, "layer_1_width_16k_l0_small")
    assert "layer_3_width_16k_l0_small is not in the local cache" in done.stdout
