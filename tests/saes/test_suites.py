"""Each public suite as it is published, at a small size: its files in the Hub's cache go through every stage."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from sae_merge_method.diagnose.run import diagnose
from sae_merge_method.diagnose.settings import DiagnoseSettings
from sae_merge_method.energy.run import energy
from sae_merge_method.energy.settings import EnergySettings
from sae_merge_method.recipes.suites import SUITE_MODELS
from sae_merge_method.saes.find import find_saes
from sae_merge_method.saes.releases import find_entry
from tests.diagnose import hosts
from tests.recipes import recipe_text, run_recipe
from tests.saes.at_hand import cached

D, F, LAYER = hosts.D_MODEL, hosts.D_SAE, 1


def gemma_scope_2(folder: Path, w_enc: torch.Tensor, w_dec: torch.Tensor) -> None:
    hosts.save_raw(folder, LAYER, d_sae=F)


def gemma_scope(folder: Path, w_enc: torch.Tensor, w_dec: torch.Tensor) -> None:
    folder.mkdir(parents=True)
    flat = {
        "b_enc": np.zeros(F, np.float32),
        "b_dec": np.zeros(D, np.float32),
        "threshold": np.zeros(F, np.float32),
    }
    np.savez(folder / "params.npz", W_enc=w_enc.numpy(), W_dec=w_dec.numpy(), **flat)


def llama_scope(folder: Path, w_enc: torch.Tensor, w_dec: torch.Tensor) -> None:
    (folder / "checkpoints").mkdir(parents=True)
    said = {"d_model": D, "d_sae": F, "jump_relu_threshold": 0.5, "hook_point_in": f"blocks.{LAYER}.hook_resid_post",
            "dataset_average_activation_norm": {"in": 4.0}}  # fmt: skip
    (folder / "hyperparams.json").write_text(json.dumps(said))
    tensors = {"encoder.weight": w_enc.T.contiguous(), "decoder.weight": w_dec.T.contiguous(),
               "encoder.bias": torch.zeros(F), "decoder.bias": torch.zeros(D)}  # fmt: skip
    save_file(tensors, folder / "checkpoints/final.safetensors")


def qwen_scope(file: Path, w_enc: torch.Tensor, w_dec: torch.Tensor) -> None:
    file.parent.mkdir(parents=True)
    torch.save({"W_enc": w_enc.T, "W_dec": w_dec.T, "b_enc": torch.zeros(F), "b_dec": torch.zeros(D)}, file)


SUITES = {
    "gemma-3-270m-it": gemma_scope_2,
    "gemma-2-2b": gemma_scope,
    "llama-3.1-8b": llama_scope,
    "qwen3-1.7b-base": qwen_scope,
}


def test_no_suite_is_left_out() -> None:
    assert {SUITE_MODELS[name].suite for name in SUITES} == {row.suite for row in SUITE_MODELS.values()}


@pytest.mark.parametrize("name", SUITES)
def test_a_suite_as_it_is_published_goes_through_diagnose_energy_and_scalpel(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants
    from sae_lens.loading import pretrained_sae_loaders as loaders

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    # A file of Qwen-Scope says no size: SAELens knows the model's, and reads the SAE's from the repository's name.
    monkeypatch.setitem(loaders.QWEN_SCOPE_MODEL_INFO, "Qwen3-1.7B-Base", ("Qwen/Qwen3-1.7B-Base", D))
    monkeypatch.setattr(loaders, "_parse_qwen_scope_repo_id", lambda _: ("Qwen3-1.7B-Base", F, 8))
    row, generator = SUITE_MODELS[name], torch.Generator().manual_seed(0)
    entry = find_entry(row.sae, row.sae_id.format(layer=LAYER))
    w_enc, w_dec = torch.randn(D, F, generator=generator), torch.randn(F, D, generator=generator)
    SUITES[name](cached(tmp_path / "hub", entry.repo_id, entry.path), w_enc, w_dec)
    model, donor = hosts.random_gemma3(tmp_path / "model"), hosts.random_gemma3(tmp_path / "donor", seed=1)
    settings = DiagnoseSettings(
        model=model,
        target=hosts.write_jsonl(tmp_path / "maths.jsonl", hosts.sentences(hosts.MATHS, 10, seed=0)),
        control=hosts.write_jsonl(tmp_path / "prose.jsonl", hosts.sentences(hosts.PROSE, 10, seed=1)),
        sae=row.sae,
        sae_id=row.sae_id,
        layers=str(LAYER),
        dictionaries=(),
        twins=(),
        permutations=20,
        bootstrap=20,
        device="cpu",
    )
    (entry,) = diagnose(settings, tmp_path / "diagnosis").layers
    assert (entry.layer, entry.sae.d_sae, entry.sae.release) == (LAYER, F, row.sae)
    measured = energy(EnergySettings(base=model, donor=donor, diagnosis=tmp_path / "diagnosis", rank=4))
    assert [one.layer for one in measured.layers] == [LAYER]
    text = recipe_text(model, donor, f'layers: "{LAYER}", diagnosis: "{tmp_path / "diagnosis"}", rank: 4')
    report = run_recipe(text.replace("sae_stethoscope", "sae_scalpel"), tmp_path / "out")
    assert report.layers == (LAYER,) and report.energy > 0


@pytest.mark.parametrize("part", ["att", "mlp"])
def test_every_layer_of_all_models_of_gemma_scope_2_but_one_has_saes_of_its_modules(part: str) -> None:
    """The manual says so; SAELens' table lists none of them for Gemma 3 27B PT."""
    for row in SUITE_MODELS.values():
        if row.suite == "Gemma Scope 2" and row.name != "gemma-3-27b-pt":
            release = row.sae.replace("-res-", f"-{part}-")
            found = find_saes(release, row.sae_id, range(row.n_layers))
            assert [address.layer for address in found] == list(range(row.n_layers)), release


def test_attention_and_mlp_saes_of_gemma_scope_2_listen_where_they_were_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those in folders named attn_out read the heads, before they are mixed."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    id, releases = "layer_{layer}_width_16k_l0_small", {}
    for part, hook in (("att", "self_attn.o_proj.input"), ("mlp", "post_feedforward_layernorm.output")):
        release = f"gemma-scope-2-270m-it-{part}-all"
        entry = find_entry(release, id.format(layer=LAYER))
        releases[release] = f"model.layers.{LAYER}.{hook}"
        place = cached(tmp_path / "hub", entry.repo_id, entry.path)
        hosts.save_raw(place, LAYER, d_sae=F, hf_hook_point_in=releases[release])
    settings = DiagnoseSettings(
        model=hosts.random_gemma3(tmp_path / "model"),
        target=hosts.write_jsonl(tmp_path / "maths.jsonl", hosts.sentences(hosts.MATHS, 10, seed=0)),
        control=hosts.write_jsonl(tmp_path / "prose.jsonl", hosts.sentences(hosts.PROSE, 10, seed=1)),
        sae=tuple(releases),
        sae_id=id,
        layers=str(LAYER),
        dictionaries=(),
        twins=(),
        permutations=20,
        bootstrap=20,
        device="cpu",
    )
    entries = diagnose(settings, tmp_path / "diagnosis").layers
    assert [(str(entry.unit), entry.sae.hook_point) for entry in entries] == [
        (f"{LAYER}.{part}", hook) for part, hook in zip(("attn", "mlp"), releases.values(), strict=True)
    ]
