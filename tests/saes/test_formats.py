"""Formats are rows of one table: what each makes of its configs, and a new one in a few lines."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from safetensors.torch import load_file, save_file

from sae_merge_method.artifacts.diagnosis import read_diagnosis
from sae_merge_method.cli.diagnose import command
from sae_merge_method.errors import SaeError
from sae_merge_method.saes import encoders, formats
from sae_merge_method.saes.checks import SaeDescription
from sae_merge_method.saes.find import find_sae
from sae_merge_method.saes.formats import Format, describe_gemma_scope_2, describe_saelens
from sae_merge_method.saes.opening import open_sae
from tests import tiny
from tests.diagnose import hosts
from tests.geometry import scenes
from tests.merge.scalpels import recipe
from tests.recipes import run_recipe


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (
            {
                "architecture": "topk",
                "metadata": {"hook_name": "blocks.1.hook_resid_post", "neuronpedia_id": "x/1"},
            },
            {"architecture": "topk", "hook_point": "blocks.1.hook_resid_post", "neuronpedia": "x/1"},
        ),
        ({"hook_name": "blocks.1.hook_resid_post"}, {"hook_point": "blocks.1.hook_resid_post"}),
        ({"hook_point": "blocks.1.hook_resid_pre"}, {"hook_point": "blocks.1.hook_resid_pre"}),
        ({"activation_fn_str": "topk"}, {"architecture": "topk"}),
        ({"normalize_activations": True}, {"normalization": "expected_average_only_in"}),
        ({"normalize_activations": False}, {}),
        ({"normalize_activations": None}, {}),
        (
            {"hook_name": "blocks.1.attn.hook_z"},
            {"hook_point": "blocks.1.attn.hook_z", "reshaping": "hook_z"},
        ),
        ({"architecture": "skip_transcoder"}, {"architecture": "skip_transcoder", "is_transcoder": True}),
        ({"metadata": {"hook_name": "a", "hook_name_out": "b"}}, {"hook_point": "a", "is_transcoder": True}),
        ({"metadata": "lost"}, {}),
    ],
)
def test_saelens_configs_of_all_versions_are_one_description(config: dict, said: dict) -> None:
    assert describe_saelens(config) == SaeDescription(
        **{"architecture": "standard", "hook_point": "", **said}
    )


def test_what_is_read_of_a_saelens_config_is_what_saelens_reads(tmp_path: Path) -> None:
    from sae_lens import SAE

    for kind, settings in (
        ("standard", {}),
        ("topk", {"k": 5}),
        ("gated", {"normalize_activations": "layer_norm"}),
    ):
        folder = hosts.save_sae(tmp_path / kind, 1, kind=kind, **settings)
        read = SAE.load_from_disk(folder).cfg
        assert describe_saelens(json.loads((folder / "cfg.json").read_text())) == SaeDescription(
            architecture=read.architecture(),
            hook_point=read.metadata.hook_name,
            normalization=read.normalize_activations,
            reshaping=read.reshape_activations,
        )


def test_gemma_scope_configs_tell_transcoders_from_saes() -> None:
    said = {"architecture": "jump_relu", "hf_hook_point_in": "model.layers.9.output"}
    assert describe_gemma_scope_2(said) == SaeDescription("jumprelu", "model.layers.9.output")
    for more in ({"type": "transcoder"}, {"type": "crosscoder"}, {"affine_connection": True}):
        assert describe_gemma_scope_2({**said, **more}).is_transcoder


NAMES = {"W_enc": "enc", "W_dec": "dec", "b_enc": "enc_bias", "b_dec": "dec_bias", "threshold": "theta"}


@pytest.fixture
def plain_format(monkeypatch: pytest.MonkeyPatch) -> Format:
    """A new format: JumpReLU SAEs under other names, one JSON key a fact."""
    row = Format(
        name="Plain",
        config="plain.json",
        weights="plain.safetensors",
        tensors=NAMES,
        architectures=("jumprelu",),
        describe=lambda config: SaeDescription("jumprelu", f"model.layers.{config['block']}"),
        load_encoder=lambda files, dtype, device: encoders.load_jumprelu(files.weights, NAMES, dtype, device),
    )
    monkeypatch.setitem(formats.FORMATS, row.name, row)
    return row


def save_plain(folder: Path, layer: int, *, d_in: int, d_sae: int) -> Path:
    hosts.save_raw(folder, layer, d_in=d_in, d_sae=d_sae)
    tensors = load_file(folder / "params.safetensors")
    save_file(
        {NAMES[name.replace("w_", "W_")]: tensor for name, tensor in tensors.items()},
        folder / "plain.safetensors",
    )
    (folder / "plain.json").write_text(json.dumps({"block": layer}))
    for name in ("params.safetensors", "config.json"):
        (folder / name).unlink()
    return folder


def test_a_new_format_is_found_checked_and_named_by_its_row_alone(
    tmp_path: Path, plain_format: Format
) -> None:
    folder = save_plain(tmp_path / "layer_1", 1, d_in=16, d_sae=32)
    assert open_sae(find_sae(str(folder), None, 1)).directions([3]).shape == (1, 16)
    with pytest.raises(SaeError, match="belongs to another layer, model.layers.1"):
        open_sae(find_sae(str(folder), None, 2))
    (tmp_path / "empty").mkdir()
    with pytest.raises(SaeError, match=r"or plain.json and plain.safetensors \(Plain\)"):
        find_sae(str(tmp_path / "empty"), None, 1)
    assert "Plain          plain.json, plain.safetensors" in CliRunner().invoke(command, ["--help"]).stdout


def test_a_new_format_is_diagnosed(tmp_path: Path, plain_format: Format) -> None:
    model = hosts.random_gemma3(tmp_path / "model")
    maths = hosts.write_jsonl(tmp_path / "maths.jsonl", hosts.sentences(hosts.MATHS, 10, seed=0))
    prose = hosts.write_jsonl(tmp_path / "prose.jsonl", hosts.sentences(hosts.PROSE, 10, seed=1))
    save_plain(tmp_path / "saes/1", 1, d_in=hosts.D_MODEL, d_sae=48)
    words = ["--model", model, "--target", maths, "--control", prose, "--sae", tmp_path / "saes/{layer}"]
    words += ["--out", tmp_path / "out", "--permutations", "20", "--bootstrap", "20"]
    CliRunner().invoke(command, [str(word) for word in words], catch_exceptions=False, standalone_mode=False)
    (layer,) = read_diagnosis(tmp_path / "out").layers
    assert (layer.layer, layer.sae.architecture, layer.sae.hook_point) == (1, "jumprelu", "model.layers.1")


def test_a_new_format_serves_a_scalpel(tmp_path: Path, plain_format: Format) -> None:
    scene = scenes.build(tmp_path)
    save_plain(tmp_path / "plain/1", 1, d_in=tiny.D_MODEL, d_sae=scenes.D_SAE)
    source = recipe(scene, layers="1", sae=str(tmp_path / "plain/{layer}"), features="3, 5")
    report = run_recipe(source, tmp_path / "out")
    assert report.layers == (1,) and report.energy > 0
