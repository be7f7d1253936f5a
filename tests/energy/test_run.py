"""Laws of kept energy, through ``sae-merge energy``."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from sae_merge_method.cli.energy import command
from sae_merge_method.errors import RecipeError, UsageError
from sae_merge_method.geometry.basis import orthonormal_basis
from sae_merge_method.geometry.projection import project
from sae_merge_method.models.tensor_names import decoder_layer
from tests import tiny
from tests.geometry import scenes


def run(scene: scenes.Scene, *words: object) -> str:
    result = CliRunner().invoke(
        command,
        [
            str(w)
            for w in ("--base", scene.base, "--donor", scene.donor, "--diagnosis", scene.diagnosis, *words)
        ],
        catch_exceptions=False,
        standalone_mode=False,
    )
    if result.exception:
        raise result.exception
    return result.stdout


def report(scene: scenes.Scene, *words: object) -> dict:
    return json.loads(run(scene, "--rank", 4, "--format", "json", *words))


def gaussian(tensors: tiny.Tensors) -> None:
    """A donor whose task vector is Gaussian: the base plus noise."""
    base = tiny.text_tensors(0)
    generator = torch.Generator().manual_seed(9)
    for name in tensors:
        tensors[name] = base[name] + 0.1 * torch.randn(base[name].shape, generator=generator)


def test_on_a_gaussian_task_vector_the_ratio_is_one_within_its_interval(tmp_path):
    found = report(scenes.build(tmp_path, change=gaussian))
    assert [entry["layer"] for entry in found["layers"]] == [0, 1, 2, 3]
    for entry in (found["total"], *found["layers"]):
        assert entry["chance"] == pytest.approx(4 / tiny.D_MODEL)
        assert entry["random"]["low"] < entry["kept"] < entry["random"]["high"]
        assert entry["random"]["low"] / entry["chance"] < 1 < entry["random"]["high"] / entry["chance"]
        assert entry["ratio"] == pytest.approx(entry["kept"] / entry["chance"])
    assert found["total"]["ratio"] == pytest.approx(1, abs=0.1)
    assert found["layers"][0]["effective_rank"] > 0.8 * tiny.D_MODEL


def inside_the_span(tensors: tiny.Tensors) -> None:
    """A donor that differs within the span of features 0, 2, 4, 6, the four most selective ones."""
    base = tiny.text_tensors(0)
    for name, tensor in base.items():
        layer = decoder_layer(name)
        change = torch.zeros_like(tensor)
        if layer is not None and "q_norm" not in name and "k_norm" not in name:
            u = orthonormal_basis(scenes.random_decoder(layer)[[0, 2, 4, 6]].numpy()).columns
            noise = 0.1 * np.random.default_rng(len(name)).standard_normal(tensor.shape, dtype=np.float32)
            writes = tensor.ndim == 1 or "o_proj" in name or "down_proj" in name
            change = torch.from_numpy(project(noise, u.astype(np.float32), 0 if writes else 1))
        tensors[name] = tensor + change


def test_a_task_vector_inside_the_span_is_all_kept(tmp_path):
    found = report(scenes.build(tmp_path, change=inside_the_span))
    for entry in (found["total"], *found["layers"]):
        assert entry["kept"] == pytest.approx(1, abs=1e-5)
        assert entry["ratio"] == pytest.approx(4, abs=1e-4)
        assert entry["random"]["high"] < 1
    for entry in found["layers"]:
        assert entry["principal"]["angles"][:4] == pytest.approx([0] * 4, abs=0.2)
        assert entry["best"] == pytest.approx(1, abs=1e-5)
        assert entry["effective_rank"] <= 4.001


def test_what_is_kept_is_what_the_scalpel_injects(tmp_path):
    from tests.recipes import run_recipe

    scene = scenes.build(tmp_path)
    found = report(scene, "--layers", "1, 3")
    source = f"""\
merge_method: {{}}
base_model: {scene.base}
models: [{{{{model: {scene.donor}}}}}]
parameters: {{{{layers: "1, 3", diagnosis: {scene.diagnosis}, {{}}}}}}
"""
    energies = [
        run_recipe(source.format(*words), tmp_path / words[0]).energy
        for words in (("sae_stethoscope", "select: top_k=2"), ("sae_scalpel", "rank: 4"))
    ]
    assert found["total"]["energy"] == pytest.approx(energies[0], rel=1e-5)
    assert found["total"]["kept"] == pytest.approx(energies[1] / energies[0], rel=1e-4)
    assert {kind["kind"]: kind["side"] for kind in found["kinds"]}["self_attn.q_norm.weight"] == "none"
    assert sum(kind["energy"] for kind in found["kinds"]) == pytest.approx(found["total"]["energy"])


def test_an_unchanged_donor_keeps_nothing_of_nothing(tmp_path):
    scene = scenes.build(tmp_path)
    found = report(scene._replace(donor=scene.base))
    assert found["total"]["energy"] == 0
    assert found["total"]["kept"] is None and found["total"]["ratio"] is None
    assert "whole" in run(scene._replace(donor=scene.base))


def test_the_command_prints_the_same_bytes_twice_and_draws_a_plot(tmp_path):
    scene = scenes.build(tmp_path, dtype=torch.bfloat16)
    plots = [tmp_path / "one.png", tmp_path / "two.png"]
    printed = [run(scene, "--plot", plot, "--read-from", "previous", "--layers", "1-3") for plot in plots]
    assert printed[0] == printed[1]
    assert (
        "layer before" in printed[0]
        and "layer 3" in printed[0]
        and "mlp.down_proj.weight (write)" in printed[0]
    )
    assert plots[0].read_bytes() == plots[1].read_bytes()
    assert plots[0].read_bytes().startswith(b"\x89PNG")


def test_bad_input_is_refused_with_its_reason(tmp_path: Path):
    scene = scenes.build(tmp_path)
    with pytest.raises(UsageError, match="give one of them"):
        run(scene, "--rank", 4, "--features", "1: 3")
    with pytest.raises(UsageError, match="layer 7 is out of range"):
        run(scene, "--layers", "7")
    with pytest.raises(UsageError, match="not an adapter"):
        run(scene._replace(donor=Path(f"{scene.donor}+{scene.donor}")))
    with pytest.raises(RecipeError, match="rank: 17 is more than"):
        run(scene, "--rank", 17)
    with pytest.raises(RecipeError, match="holds other weights"):
        run(scene._replace(base=tiny.gemma3_text(tmp_path / "other", 5, vocabulary=64)))
