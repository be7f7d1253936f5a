"""Gemma Scope's folders hold numpy archives: read where they lie, unpickled, by the same checks as any SAE."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from sae_merge_method.diagnose.run import diagnose
from sae_merge_method.diagnose.settings import DiagnoseSettings
from sae_merge_method.energy.run import energy
from sae_merge_method.energy.settings import EnergySettings
from sae_merge_method.errors import ModelError, RefusedSaeError, SaeError
from sae_merge_method.models.reading import read_rows, read_tensor
from sae_merge_method.saes.find import find_sae, find_saes
from sae_merge_method.saes.npz import read_npz_header
from sae_merge_method.saes.opening import open_sae
from tests.diagnose import hosts
from tests.recipes import recipe_text, run_recipe

D_SAE = 32
CPU = torch.device("cpu")


def arrays(seed: int = 0) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    shapes = {
        "W_enc": (hosts.D_MODEL, D_SAE),
        "W_dec": (D_SAE, hosts.D_MODEL),
        "b_enc": (D_SAE,),
        "b_dec": (hosts.D_MODEL,),
        "threshold": (D_SAE,),
    }
    return {name: generator.random(shape, dtype=np.float32) for name, shape in shapes.items()}


def save(folder: Path, write: Callable[..., None] = np.savez, **changed: np.ndarray) -> Path:
    folder.mkdir(parents=True)
    write(folder / "params.npz", **(arrays() | changed))
    return folder


def test_arrays_are_found_where_numpy_wrote_them(tmp_path):
    folder = save(tmp_path / "layer_1")
    entries = read_npz_header(folder / "params.npz")
    for name, array in arrays().items():
        assert np.array_equal(read_tensor(entries[name]), array)
    assert np.array_equal(read_rows(entries["W_dec"], [3, 1]), arrays()["W_dec"][[3, 1]])


def test_a_gemma_scope_folder_encodes_as_saelens_says_it_does(tmp_path):
    from sae_lens.saes.jumprelu_sae import JumpReLUSAE, JumpReLUSAEConfig

    folder = save(tmp_path / "gemma-scope-2b-pt-res" / "layer_1" / "width_16k" / "average_l0_71")
    sae = open_sae(find_sae(str(folder), None, 1), hosts.D_MODEL)
    config = JumpReLUSAEConfig(d_in=hosts.D_MODEL, d_sae=D_SAE, apply_b_dec_to_input=False)
    reference = JumpReLUSAE(config)
    reference.load_state_dict({name: torch.from_numpy(array) for name, array in arrays().items()})
    x = torch.randn(5, hosts.D_MODEL, generator=torch.Generator().manual_seed(0))
    loaded = sae.load(torch.float32, CPU)
    features = loaded.encoder.encode(x)
    torch.testing.assert_close(features, reference.encode(x))
    torch.testing.assert_close(loaded.encoder.decode(features), reference.decode(features))
    assert np.array_equal(sae.directions([4, 0]), arrays()["W_dec"][[4, 0]])
    assert (loaded.source.architecture, loaded.source.hook_point) == ("jumprelu", "blocks.1.hook_resid_post")


def test_sparsities_that_differ_from_layer_to_layer_are_a_star(tmp_path):
    for layer, sparsity in ((0, 105), (1, 71)):
        save(tmp_path / f"layer_{layer}" / "width_16k" / f"average_l0_{sparsity}")
    template = f"{tmp_path}/layer_{{layer}}/width_16k/average_l0_*"
    assert [address.folder.name for address in find_saes(template, None, range(3))] == [
        "average_l0_105",
        "average_l0_71",
    ]
    save(tmp_path / "layer_1" / "width_16k" / "average_l0_200")
    with pytest.raises(SaeError, match="expected one SAE of layer 1"):
        find_saes(template, None, range(3))


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("gemma-scope-2b-pt-transcoders/layer_1/width_16k", "is a transcoder"),
        ("gemma-scope-2b-pt-att/layer_1/width_16k", "hook_z"),
        ("models--google--gemma-scope-9b-pt-mlp/snapshots/abc/layer_1", "hook_mlp_out"),
        ("gemma-scope-2b-pt-res/embedding/width_4k", "hook_embed"),
        ("gemma-scope-2b-pt-res/layer_2/width_16k", "belongs to another layer, blocks.2.hook_resid_post"),
    ],
)
def test_what_the_folders_name_says_is_held_against_every_refusal(tmp_path, place, reason):
    with pytest.raises(RefusedSaeError, match=reason):
        open_sae(find_sae(str(save(tmp_path / place)), None, 1), hosts.D_MODEL)


def test_another_width_is_refused(tmp_path):
    with pytest.raises(RefusedSaeError, match="reads activations of width"):
        open_sae(find_sae(str(save(tmp_path / "layer_1")), None, 1), hosts.D_MODEL + 1)


@pytest.mark.parametrize(
    ("write", "changed", "reason"),
    [
        (np.savez_compressed, {}, "is compressed"),
        (np.savez, {"W_dec": np.array([{"a": 1}], dtype=object)}, "expected floating point"),
        (np.savez, {"W_dec": np.zeros((4, 4), dtype=np.int32)}, "expected floating point"),
        (np.savez, {"W_dec": np.asfortranarray(np.ones((4, 3), np.float32))}, "in Fortran's order"),
    ],
)
def test_what_cannot_be_read_in_place_is_an_error(tmp_path, write, changed, reason):
    with pytest.raises(ModelError, match=reason):
        read_npz_header(save(tmp_path / "layer_1", write, **changed) / "params.npz")


@pytest.mark.parametrize("keep", [0, 10, 300, -40])
def test_a_damaged_archive_is_an_error(tmp_path, keep):
    file = save(tmp_path / "layer_1") / "params.npz"
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(SaeError, match="cannot read the SAE"):
        open_sae(find_sae(str(file.parent), None, 1))


def test_an_array_that_is_missing_is_named(tmp_path):
    folder = tmp_path / "layer_1"
    folder.mkdir()
    np.savez(folder / "params.npz", **{name: array for name, array in arrays().items() if name != "b_enc"})
    with pytest.raises(SaeError, match="b_enc is missing"):
        open_sae(find_sae(str(folder), None, 1)).load(torch.float32, CPU)


def test_diagnose_scalpel_and_energy_take_gemma_scope_folders(tmp_path):
    model = hosts.random_gemma3(tmp_path / "model")
    maths = hosts.write_jsonl(tmp_path / "maths.jsonl", hosts.sentences(hosts.MATHS, 10, seed=0))
    prose = hosts.write_jsonl(tmp_path / "prose.jsonl", hosts.sentences(hosts.PROSE, 10, seed=1))
    save(tmp_path / "saes" / "layer_01" / "average_l0_71")
    settings = DiagnoseSettings(
        model=model,
        target=maths,
        control=prose,
        sae=tmp_path / "saes" / "layer_{layer}" / "average_l0_*",
        permutations=20,
        bootstrap=20,
    )
    (layer,) = diagnose(settings, tmp_path / "diagnosis").layers
    assert (layer.layer, layer.sae.d_sae) == (1, D_SAE)
    donor = hosts.random_gemma3(tmp_path / "donor", seed=1)
    measured = energy(
        EnergySettings(base=model, donor=donor, diagnosis=tmp_path / "diagnosis", rank=4, layers="1")
    )
    assert [one.layer for one in measured.layers] == [1]
    text = recipe_text(model, donor, f'layers: "1", diagnosis: "{tmp_path / "diagnosis"}", rank: 4')
    report = run_recipe(text.replace("sae_stethoscope", "sae_scalpel"), tmp_path / "out")
    assert report.layers == (1,) and report.energy > 0
