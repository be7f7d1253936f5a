"""One SAE: opened by its description, its decoder read row by row, its encoder on demand."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from sae_merge_method.errors import SaeError
from sae_merge_method.saes.formats import FORMATS
from tests.diagnose import hosts
from tests.saes.at_hand import sae_at


def test_rows_of_a_folder_that_saelens_wrote_equal_its_own_decoder(tmp_path: Path) -> None:
    from sae_lens import SAE

    hosts.save_sae(tmp_path / "layer_2", 2)
    sae = sae_at(tmp_path / "layer_{layer}", 2)
    expected = SAE.load_from_disk(tmp_path / "layer_2").W_dec.detach().numpy()
    assert (sae.d_sae, sae.d_in) == expected.shape
    assert np.array_equal(sae.directions([31, 0, 7]), expected[[31, 0, 7]])
    with pytest.raises(SaeError, match=r"has 64 features, 0 to 63; feature 64 was asked for"):
        sae.directions([64])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
def test_gemma_scope_folders_are_read_in_any_precision(tmp_path: Path, dtype: torch.dtype) -> None:
    folder = hosts.save_raw(tmp_path / "resid_post_all/layer_4_width_16k", 4)
    tensors = {name: tensor.to(dtype) for name, tensor in load_file(folder / "params.safetensors").items()}
    save_file(tensors, folder / "params.safetensors")
    sae = sae_at(tmp_path / "resid_post_all", 4, "layer_{layer}_width_16k")
    assert np.array_equal(sae.directions([5, 1]), tensors["w_dec"][[5, 1]].double().numpy())


def test_directions_are_read_without_torch_saelens_or_the_encoder(tmp_path: Path) -> None:
    saved = {
        "SAELens": hosts.save_sae(tmp_path / "a/1", 1),
        "Gemma Scope 2": hosts.save_raw(tmp_path / "b/1", 1),
    }
    for name, folder in saved.items():
        kind = FORMATS[name]
        decoder = load_file(folder / kind.weights)[kind.decoder]
        save_file({kind.decoder: decoder}, folder / kind.weights)
        program = f"""
import sys
from sae_merge_method.saes.find import find_sae
from sae_merge_method.saes.opening import open_sae
print(open_sae(find_sae({str(folder)!r}, None, 1)).directions([3])[0].tolist())
assert not {{"sae_lens", "torch", "transformers"}} & set(sys.modules)
"""
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout) == decoder[3].tolist()


def test_damaged_files_are_named_before_anything_is_loaded(tmp_path: Path) -> None:
    folder = hosts.save_raw(tmp_path / "layer_2", 2)
    whole = load_file(folder / "params.safetensors")
    save_file({**whole, "w_dec": torch.zeros(7)}, folder / "params.safetensors")
    with pytest.raises(SaeError, match=r"expected a decoder matrix w_dec, .*, found shape \[7\]"):
        sae_at(folder, 2)
    (folder / "params.safetensors").write_bytes(b"damaged")
    with pytest.raises(SaeError, match=r"cannot read the SAE .*layer_2: .* is not a safetensors file"):
        sae_at(folder, 2)
    for text in ("[]", "{"):
        (folder / "config.json").write_text(text)
        with pytest.raises(SaeError, match=r"expected the config of an SAE \(Gemma Scope 2\) at"):
            sae_at(folder, 2)
    (folder / "config.json").unlink()
    with pytest.raises(SaeError, match="expected the config of an SAE"):
        sae_at(folder, 2)


@pytest.mark.parametrize("kind", ["jumprelu", "standard", "topk", "gated"])
def test_an_sae_takes_all_that_saelens_holds_of_it_its_decoder_too(tmp_path: Path, kind: str) -> None:
    folder = hosts.save_sae(tmp_path / "layer_2", 2, kind=kind)
    loaded = sae_at(folder, 2).load(torch.float32, torch.device("cpu"))
    held = [*loaded.encoder.parameters(), *loaded.encoder.buffers()]
    assert loaded.encoder_bytes == sum(tensor.nbytes for tensor in held)
    # By which SAE something was encoded does not hang on its decoder.
    tensors = load_file(folder / "sae_weights.safetensors")
    save_file({**tensors, "W_dec": tensors["W_dec"] + 1}, folder / "sae_weights.safetensors")
    assert sae_at(folder, 2).load(torch.float32, torch.device("cpu")).source == loaded.source


def test_an_sae_whose_decoder_stays_on_the_disk_takes_its_encoder_alone(tmp_path: Path) -> None:
    loaded = sae_at(hosts.save_raw(tmp_path / "layer_2", 2), 2).load(torch.bfloat16, torch.device("cpu"))
    held = [tensor for tensor in vars(loaded.encoder).values() if isinstance(tensor, torch.Tensor)]
    assert loaded.encoder_bytes == sum(tensor.nbytes for tensor in held)


def test_an_encoder_that_saelens_cannot_read_is_named(tmp_path: Path) -> None:
    folder = hosts.save_sae(tmp_path / "layer_2", 2)
    tensors = load_file(folder / "sae_weights.safetensors")
    save_file({"W_dec": tensors["W_dec"]}, folder / "sae_weights.safetensors")
    with pytest.raises(SaeError, match="SAELens cannot read the SAE .*layer_2"):
        sae_at(folder, 2).load(torch.float32, torch.device("cpu"))
