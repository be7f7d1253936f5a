"""An SAE that is provably another one than was diagnosed is told, and none else: whatever it was used in."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from sae_merge_method.saes.find import SaeAddress
from sae_merge_method.saes.sae import Sae
from sae_merge_method.saes.same import why_another
from tests.diagnose import hosts
from tests.saes.at_hand import sae_at

CPU = torch.device("cpu")
DTYPES = (torch.float32, torch.bfloat16, torch.float16, torch.float64)
SAELENS = ("standard", "topk", "jumprelu", "gated")


def save_npz(folder: Path) -> Path:
    """Gemma Scope's archive."""
    tensors = load_file(hosts.save_raw(folder, 1) / "params.safetensors")
    np.savez(
        folder / "params.npz", **{name.replace("w_", "W_"): one.numpy() for name, one in tensors.items()}
    )
    (folder / "params.safetensors").unlink()
    (folder / "config.json").unlink()
    return folder


SAVE = {kind: lambda folder, kind=kind: hosts.save_sae(folder, 1, kind=kind) for kind in SAELENS}
SAVE |= {"Gemma Scope 2": lambda folder: hosts.save_raw(folder, 1), "Gemma Scope": save_npz}


Change = Callable[[str, torch.Tensor], torch.Tensor]


def rewritten(folder: Path, change: Change, layer: int = 1) -> Sae:
    """The SAE in a folder, once its arrays were changed."""
    (file,) = (path for path in folder.iterdir() if path.suffix in (".safetensors", ".npz"))
    if file.suffix == ".npz":
        with np.load(file) as archive:
            arrays = {name: torch.from_numpy(archive[name]) for name in archive.files}
        np.savez(file, **{name: change(name, tensor).numpy() for name, tensor in arrays.items()})
    else:
        save_anew({name: change(name, tensor) for name, tensor in load_file(file).items()}, file)
    return sae_at(folder, layer)


def save_anew(tensors: dict[str, torch.Tensor], file: Path) -> None:
    copies = {name: tensor.clone() for name, tensor in tensors.items()}  # the file may lie under them
    file.unlink()
    save_file(copies, file)


def trained_on(name: str, tensor: torch.Tensor) -> torch.Tensor:
    tensor = tensor.clone()
    if name.lower() == "w_enc":
        tensor[0, 0] += 1
    return tensor


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("save", SAVE.values(), ids=SAVE)
def test_an_sae_is_known_again_in_any_precision_and_one_that_was_trained_on_is_not(tmp_path, save, dtype):
    sae = sae_at(save(tmp_path / "layer_1"), 1)
    diagnosed = sae.load(dtype, CPU).source
    assert why_another(sae, diagnosed) is None
    assert why_another(sae, diagnosed, "bfloat16") is None
    (tmp_path / "layer_1").rename(tmp_path / "moved")
    assert why_another(sae_at(tmp_path / "moved", 1), diagnosed) is None
    another = rewritten(tmp_path / "moved", trained_on)
    assert why_another(another, diagnosed) == "its encoder's weights are not those that were used then"


def test_a_copy_in_16_bits_and_what_saelens_would_change_are_taken_at_their_word(tmp_path):
    folder = hosts.save_sae(tmp_path / "layer_1", 1)
    diagnosed = sae_at(folder, 1).load(torch.float32, CPU).source
    rewritten(folder, trained_on)
    file = folder / "sae_weights.safetensors"
    save_anew({name: tensor.bfloat16() for name, tensor in load_file(file).items()}, file)
    assert why_another(sae_at(folder, 1), diagnosed) is None
    wide = {name: tensor.float() for name, tensor in load_file(file).items()}
    save_anew(wide | {"scaling_factor": torch.ones(hosts.D_SAE)}, file)
    assert why_another(sae_at(folder, 1), diagnosed) is None
    save_anew(wide, file)
    assert why_another(sae_at(folder, 1), diagnosed) is not None


def test_a_folder_in_another_format_may_be_a_copy(tmp_path):
    diagnosed = (
        sae_at(hosts.save_raw(tmp_path / "raw", 1, d_sae=hosts.D_SAE), 1).load(torch.float32, CPU).source
    )
    assert why_another(sae_at(hosts.save_sae(tmp_path / "layer_1", 1), 1), diagnosed) is None


def in_release(sae: Sae, release: str, id: str) -> Sae:
    return Sae(
        SaeAddress(17, release, id, None),
        sae.description,
        sae.d_sae,
        sae.d_in,
        sae.read_directions,
        sae.load_encoder,
    )


def test_another_id_of_a_release_is_another_sae_and_a_second_name_of_it_is_not(tmp_path):
    sae = sae_at(hosts.save_raw(tmp_path / "layer_17", 17), 17)
    release, id = "gemma-scope-2-4b-it-res-all", "layer_17_width_16k_l0_{}"
    small, big = (in_release(sae, release, id.format(size)) for size in ("small", "big"))
    source = sae.load(torch.float32, CPU).source
    diagnosed = source.model_copy(update={"release": release, "id": id.format("small")})
    assert why_another(small, diagnosed) is None
    assert why_another(big, diagnosed) == f"that was {id.format('small')}, this is {id.format('big')}"
    assert why_another(sae, diagnosed) is None  # the same numbers, in a folder
    assert why_another(rewritten(tmp_path / "layer_17", trained_on, 17), diagnosed) is not None
    other = source.model_copy(update={"release": "gemma-scope-2-4b-it-res", "id": id.format("small")})
    assert why_another(big, other) is None  # which may be the same
    assert why_another(big, source) is None  # a folder's, which may be a copy
    lost = diagnosed.model_copy(update={"id": "no longer there"})
    assert why_another(big, lost) is None


def test_a_dictionary_that_nobody_trained_is_no_sae(tmp_path):
    sae = sae_at(hosts.save_raw(tmp_path / "layer_1", 1, d_sae=hosts.D_SAE), 1)
    source = sae.load(torch.float32, CPU).source
    drawn = in_release(sae, "random", "width_64_l0_5")
    random = source.model_copy(update={"release": "random", "id": "width_64_l0_9"})
    assert why_another(drawn, random) is None
    assert why_another(drawn, source) == f"that was {source.release}, this is random width_64_l0_5"
    assert why_another(sae, random) == f"that was random, this is {tmp_path}/layer_1"


def test_another_number_of_features_is_said(tmp_path):
    sae = sae_at(hosts.save_raw(tmp_path / "layer_1", 1, d_sae=48), 1)
    diagnosed = sae.load(torch.float32, CPU).source.model_copy(update={"d_sae": 64})
    assert why_another(sae, diagnosed) == "that had 64 features, this has 48"
