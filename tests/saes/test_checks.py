"""One list of refusals: SAEs that cannot mean what is needed, refused alike by every command."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result

from sae_merge_method.cli.main import road
from sae_merge_method.errors import RefusedSaeError, SaeError
from sae_merge_method.loaded.sites import Site, named_site
from sae_merge_method.saes import checks
from sae_merge_method.saes.checks import REFUSALS, Refusal, SaeDescription, Wanted, check_sae
from sae_merge_method.saes.find import find_sae, find_saes
from sae_merge_method.saes.formats import describe_saelens
from sae_merge_method.saes.opening import load_sae, open_sae
from tests import tiny
from tests.diagnose import hosts
from tests.geometry import scenes
from tests.merge.scalpels import recipe
from tests.recipes import run_recipe

GOOD = SaeDescription("jumprelu", "blocks.2.hook_resid_post", d_in=32)
WANTED = Wanted(Site(2), ("standard", "jumprelu"), 32)


@pytest.mark.parametrize(
    ("name", "changed", "complaint"),
    [
        ("transcoder", {"is_transcoder": True}, "is a transcoder: it reads one place and writes another"),
        (
            "architecture",
            {"architecture": "relu"},
            "is of the kind 'relu': expected one of standard, jumprelu",
        ),
        ("unscaled", {"normalization": "expected_average_only_in"}, "by a factor that is not stored with it"),
        ("whitened", {"normalization": "covariance_whitening"}, "expects whitened activations"),
        ("centred", {"is_centred": True}, "reads the stream less its mean over dimensions"),
        ("reshaped", {"reshaping": "hook_z"}, "reads inside attention (hook_z)"),
        (
            "hook",
            {"hook_point": "blocks.2.hook_mlp_out"},
            "reads blocks.2.hook_mlp_out: expected block 2's output, the residual stream",
        ),
        ("hook", {"hook_point": ""}, "reads a place it does not name: expected block 2's output"),
        ("layer", {"hook_point": "model.layers.12"}, "belongs to another layer, model.layers.12: expected"),
        ("width", {"d_in": 16}, "of width 16: expected 32, that of block 2's output"),
    ],
)
def test_every_refusal_says_what_is_wrong(name: str, changed: dict[str, object], complaint: str) -> None:
    sae = GOOD._replace(**changed)
    assert complaint in (REFUSALS[name].fault(sae, WANTED) or "")
    with pytest.raises(RefusedSaeError) as caught:
        check_sae("saes/2", sae, WANTED)
    assert str(caught.value).startswith("the SAE saes/2 ") and complaint in str(caught.value)


@pytest.mark.parametrize("nested", [False, True])
def test_a_stream_that_was_centred_is_told_by_how_its_model_was_loaded(nested: bool) -> None:
    loaded = {"model_from_pretrained_kwargs": {"center_writing_weights": True}}
    config = {"architecture": "standard", **({"metadata": loaded} if nested else loaded)}
    assert describe_saelens(config).is_centred
    loaded["model_from_pretrained_kwargs"]["center_writing_weights"] = False
    assert not describe_saelens(config).is_centred


def test_what_is_not_known_yet_is_not_refused() -> None:
    known = (GOOD, WANTED), (GOOD._replace(d_in=None), WANTED), (GOOD, WANTED._replace(width=None))
    for sae, wanted in known:
        assert not [row.name for row in checks.REFUSALS.values() if row.fault(sae, wanted)]
        check_sae("saes/2", sae, wanted)


def test_a_new_refusal_is_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    row = Refusal(
        "gated", "gated SAEs, say", lambda sae, _: "is gated" if sae.architecture == "gated" else None
    )
    monkeypatch.setitem(checks.REFUSALS, row.name, row)
    assert "gated         gated SAEs, say" in command_line("diagnose", "--help").stdout
    with pytest.raises(RefusedSaeError, match="the SAE saes/2 is gated"):
        check_sae("saes/2", GOOD._replace(architecture="gated"), WANTED._replace(architectures=("gated",)))


@pytest.mark.parametrize(
    ("wanted", "changed", "complaint"),
    [
        (Site(2, "mlp_out"), {"hook_point": "blocks.2.hook_mlp_out"}, None),
        (Site(2, "attn_out"), {"hook_point": "blocks.2.hook_attn_out"}, None),
        (Site(2, "heads"), {"hook_point": "blocks.2.attn.hook_z", "reshaping": "hook_z"}, None),
        (Site(2, "heads"), {"hook_point": "blocks.2.attn.hook_z"}, None),
        (
            Site(2, "mlp_out"),
            {},
            "expected what block 2's MLP adds to the stream, such as blocks.2.hook_mlp_out",
        ),
        (
            Site(2, "attn_out"),
            {"hook_point": "blocks.2.attn.hook_z"},
            "expected what block 2's attention adds",
        ),
        (Site(2, "mlp_out"), {"hook_point": "blocks.3.hook_mlp_out"}, "belongs to another layer"),
        (Site(2, "mlp_out"), {"hook_point": "blocks.2.hook_mlp_in"}, "reads blocks.2.hook_mlp_in"),
        (
            Site(2, "mlp_out"),
            {"hook_point": "blocks.2.hook_mlp_out", "is_transcoder": True},
            "is a transcoder",
        ),
    ],
)
def test_what_listens_at_a_part_of_a_block_is_taken_there_and_nowhere_else(
    wanted: Site, changed: dict[str, object], complaint: str | None
) -> None:
    sae, asked = GOOD._replace(**changed), WANTED._replace(site=wanted)
    if complaint is None:
        check_sae("saes/2", sae, asked)
        with pytest.raises(RefusedSaeError):
            check_sae("saes/2", sae, WANTED)
    else:
        with pytest.raises(RefusedSaeError, match=complaint):
            check_sae("saes/2", sae, asked)


@pytest.mark.parametrize(
    ("hook", "site"),
    [
        ("blocks.7.hook_resid_post", Site(7)),
        ("blocks.7.hook_attn_out", Site(7, "attn_out")),
        ("blocks.7.hook_mlp_out", Site(7, "mlp_out")),
        ("blocks.7.attn.hook_z", Site(7, "heads")),
        ("model.layers.7", Site(7)),
        ("model.layers.7.output", Site(7)),
        ("model.language_model.layers.17.output", Site(17)),
        ("transformer.h.3", Site(3)),
        ("vision_tower.vision_model.encoder.layers.7", None),
        ("model.layers.7.mlp.output", None),
        ("model.layers.7.output.output", None),
        ("blocks.7.hook_resid_mid", None),
        ("", None),
    ],
)
def test_what_a_config_names_is_a_site_or_nothing(hook: str, site: Site | None) -> None:
    assert named_site(hook) == site


@pytest.mark.parametrize(
    ("config", "complaint"),
    [
        ({"hook": "blocks.2.hook_mlp_out"}, "reads blocks.2.hook_mlp_out"),
        ({"hook": None}, "a place it does not name"),
        ({"d_in": 16}, "width 16: expected 32"),
        ({"normalize_activations": "expected_average_only_in"}, "a factor that is not stored"),
        ({"normalize_activations": "covariance_whitening"}, "whitened"),
        ({"kind": "AbsTopK", "k": 3}, "of the kind 'abstopk': expected one of standard"),
    ],
)
def test_saes_that_saelens_saved_are_refused_by_name(tmp_path: Path, config: dict, complaint: str) -> None:
    folder = hosts.save_sae(tmp_path / "sae", 2, **config)
    with pytest.raises(RefusedSaeError) as caught:
        open_sae(find_sae(str(folder), None, 2), hosts.D_MODEL)
    assert complaint in str(caught.value)
    assert str(folder) in str(caught.value)


def gemma_scope(**config: object) -> Callable[[Path], object]:
    """Writes a Gemma Scope 2 folder of layer 1 whose config says something else."""
    return lambda folder: hosts.save_raw(folder, 1, d_in=tiny.D_MODEL, d_sae=scenes.D_SAE, **config)


def saelens(hook: str = "blocks.1.hook_resid_post", **config: object) -> Callable[[Path], None]:
    """Writes a SAELens folder of layer 1 whose config says something else."""

    def write(folder: Path) -> None:
        scenes.save_sae(folder, 1, scenes.random_decoder(1))
        said = json.loads((folder / "cfg.json").read_text())
        said["metadata"] = {"hook_name": hook, "sae_lens_version": "6.54.12"}
        (folder / "cfg.json").write_text(json.dumps(said | config))

    return write


UNUSABLE = {
    "transcoder": gemma_scope(type="transcoder"),
    "transcoder of SAELens": saelens(architecture="jumprelu_transcoder"),
    "relu": gemma_scope(architecture="relu"),
    "relu of SAELens": saelens(architecture="relu"),
    "whitened": saelens(normalize_activations="covariance_whitening"),
    "unscaled": saelens(normalize_activations="expected_average_only_in"),
    "o_proj": gemma_scope(hf_hook_point_in="model.layers.1.self_attn.o_proj.input"),
    "vision tower": gemma_scope(hf_hook_point_in="vision_tower.vision_model.encoder.layers.1.output"),
    "hook_z": saelens("blocks.1.attn.hook_z", reshape_activations="hook_z"),
    "hook_resid_pre": saelens("blocks.1.hook_resid_pre"),
    "hook_mlp_out": saelens("blocks.1.hook_mlp_out"),
    "no hook": saelens(""),
    "another layer": saelens("blocks.2.hook_resid_post"),
    "no config": lambda folder: (saelens()(folder), (folder / "cfg.json").unlink()),
}


@pytest.fixture(params=UNUSABLE.values(), ids=UNUSABLE)
def scene(request: pytest.FixtureRequest, tmp_path: Path) -> scenes.Scene:
    """A scene in which layer 1's SAE cannot be used; a merge made before it was so lies in ``merged``."""
    scene = scenes.build(tmp_path)
    run_recipe(recipe(scene), tmp_path / "merged")
    shutil.rmtree(tmp_path / "saes/layer_1")
    request.param(tmp_path / "saes/layer_1")
    return scene


def what_diagnose_says(scene: scenes.Scene) -> str:
    (address,) = find_saes(scene.saes, None, [1])
    with pytest.raises(SaeError) as caught:
        load_sae(address, tiny.D_MODEL, torch.float32, torch.device("cpu"))
    return str(caught.value)


def command_line(*words: object) -> Result:
    return CliRunner().invoke(road, [str(word) for word in words])


def test_no_command_accepts_an_sae_that_diagnose_refuses(tmp_path: Path, scene: scenes.Scene) -> None:
    words = what_diagnose_says(scene)
    (tmp_path / "cut.yml").write_text(recipe(scene))
    (tmp_path / "raw.yml").write_text(recipe(scene, "sae_stethoscope", layers="1, 3"))
    where = ("--diagnosis", scene.diagnosis, "--rank", 4)
    for refusing in (
        command_line("merge", tmp_path / "cut.yml", tmp_path / "out"),
        command_line("controls", tmp_path / "raw.yml", "--out", tmp_path / "arms", *where),
        command_line("energy", "--base", scene.base, "--donor", scene.donor, *where),
    ):
        assert isinstance(refusing.exception, SaeError)
        assert str(refusing.exception) == words
    assert not {"out", "arms"} & {path.name for path in tmp_path.iterdir()}
    checked = command_line("recipe", "check", tmp_path / "cut.yml")
    assert checked.exit_code == 1
    assert words in checked.stdout
    assert "every SAE" not in checked.stdout


def test_verify_does_not_prove_an_edit_whose_sae_is_refused(tmp_path: Path, scene: scenes.Scene) -> None:
    words = what_diagnose_says(scene)
    audit = command_line("verify", tmp_path / "merged")
    assert "as sae_scalpel computes" not in audit.stdout
    if "expected the config" in words:  # unreadable is not refused: nothing is known to be wrong
        assert f"not proved  the edits of sae_scalpel: {words}" in audit.stdout
    else:
        assert f"VIOLATED    mergekit_config.yml: {words}" in audit.stdout
        assert audit.exit_code == 1
