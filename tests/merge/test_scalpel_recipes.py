"""Scalpel recipes: the same bytes by either engine and by plain mergekit, and what is refused."""

import logging
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from sae_merge_method.artifacts.edit_report import read_edit_report
from sae_merge_method.artifacts.recipe import RecipeText
from sae_merge_method.errors import MergeError, RecipeError, SaeError, SaeMergeError
from sae_merge_method.merge.in_place import edit_in_place
from sae_merge_method.merge.preview import preview
from sae_merge_method.models.tensor_names import decoder_layer
from tests import tiny
from tests.faults.processes import sae_merge
from tests.geometry import scenes
from tests.merge.scalpels import LAYERS, energy, kernel, moved, parameters, plain_mergekit, recipe
from tests.recipes import run_recipe

Merge = Callable[[str], object]


@pytest.fixture
def merge(tmp_path: Path) -> Merge:
    """What ``sae-merge merge`` does, whichever engine it takes."""
    return lambda source: run_recipe(source, tmp_path / "out")


def engines_agree(source: str, folder: Path) -> dict[str, torch.Tensor]:
    """The tensors that both engines write, with equal reports."""
    reports, tensors = [], []
    for engine in ("direct", "mergekit"):
        out = folder / engine
        reports.append(run_recipe(source, out, engine=engine))
        tensors.append(tiny.load_tensors(out))
    assert reports[0] == reports[1]
    assert tensors[0].keys() == tensors[1].keys()
    assert all(tiny.same_bytes(tensors[0][name], tensors[1][name]) for name in tensors[0])
    return tensors[0]


MODES: dict[str, dict[str, object]] = {
    "project": {},
    "reject": {"mode": "reject"},
    "random": {"mode": "random", "seed": 7},
    "hybrid": {"mode": "hybrid", "beta": 0.3, "gamma": -0.6},
    "both whole": {"mode": "hybrid", "energy_match": True},
    "neither": {"mode": "hybrid", "beta": 0.0, "gamma": 0.0},
    "energy match": {"energy_match": True},
    "energy match of the rest": {"mode": "reject", "energy_match": True},
    "previous layer's": {"read_from": "previous"},
    "every direction": {"rank": tiny.D_MODEL},
}


@pytest.mark.parametrize("given", MODES.values(), ids=MODES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_both_engines_give_the_same_bytes_in_every_mode(tmp_path, caplog, given, dtype):
    scene = scenes.build(tmp_path, dtype=dtype)
    with caplog.at_level(logging.WARNING):
        merged = engines_agree(recipe(scene, **parameters(scene, **given)), tmp_path)
    assert "hands over" not in caplog.text
    base = tiny.load_tensors(scene.base)
    changed = {decoder_layer(name) for name in base if not tiny.same_bytes(base[name], merged[name])}
    assert changed == (set() if given.get("gamma") == 0 else {1, 3})


@pytest.mark.parametrize(
    "given", [{"mode": "hybrid", "gamma": 0.5}, {"mode": "random", "energy_match": True}]
)
def test_both_engines_give_the_same_bytes_over_a_multimodal_base(tmp_path, scene, given):
    whole = scene._replace(
        base=tiny.gemma3_multimodal(tmp_path / "base", 0, dtype=torch.bfloat16),
        donor=tiny.gemma3_multimodal(tmp_path / "donor", 1, dtype=torch.bfloat16),
    )
    chosen = {"layers": LAYERS, "sae": scene.saes, "features": "1: 0, 2, 4; 3: 5"}
    merged, base = engines_agree(recipe(whole, **chosen, **given), tmp_path), tiny.load_tensors(whole.base)
    changed = {name for name in base if not tiny.same_bytes(base[name], merged[name])}
    assert {decoder_layer(name) for name in changed} == {1, 3}
    assert not any("vision" in name for name in changed)


@pytest.mark.parametrize("engine", ["direct", "mergekit"])
@pytest.mark.parametrize("part", ["self_attn.q_norm", "mlp.up_proj"])
def test_a_value_that_is_no_number_is_found_also_where_nothing_would_be_added(tmp_path, engine, part):
    name = f"model.layers.1.{part}.weight"
    scene = scenes.build(tmp_path, change=lambda tensors: tensors[name].view(-1)[3:4].fill_(torch.nan))
    with pytest.raises(MergeError, match=f"{name}: the donor tensor holds 1 NaN or infinite"):
        run_recipe(recipe(scene), tmp_path / "out", engine=engine)
    assert not (tmp_path / "out").exists()


def test_a_dry_run_and_an_edit_in_place_say_and_do_what_the_merge_does(tmp_path):
    scene = scenes.build(tmp_path)
    source = recipe(scene, **parameters(scene, energy_match=True))
    merged = run_recipe(source, tmp_path / "out")
    seen = preview(RecipeText(source, "recipe.yml"))
    assert sum(layer.energy or 0 for layer in seen.layers) == pytest.approx(merged.energy, rel=1e-12)
    edited = edit_in_place(RecipeText(source, "recipe.yml"))
    assert edited.result_sha256 == merged.result_sha256


def test_a_scalpel_merge_needs_neither_torch_nor_mergekit(tmp_path, scene):
    (tmp_path / "r.yml").write_text(recipe(scene))
    trouble = "assert not {'torch', 'mergekit', 'transformers', 'sae_lens'} & set(sys.modules)"
    done = sae_merge("merge", "r.yml", "out", cwd=tmp_path, trouble=trouble)
    assert done.returncode == 0, done.stderr
    assert "layers 1, 3: 26 of 54 tensors edited" in done.stdout


@pytest.mark.parametrize("given", [{}, {"select": "top_k=2", "layers": None, "mode": "hybrid", "gamma": 0.5}])
def test_both_doors_write_the_same_bytes(tmp_path, scene, merge: Merge, given):
    values = {name: value for name, value in parameters(scene, **given).items() if value is not None}
    source = recipe(scene, **values)
    merge(source)
    ours, stock = tiny.load_tensors(tmp_path / "out"), plain_mergekit(source, tmp_path / "stock")
    assert ours.keys() == stock.keys()
    assert all(tiny.same_bytes(ours[name], stock[name]) for name in ours)
    base = tiny.load_tensors(scene.base)
    changed = {decoder_layer(name) for name in base if not tiny.same_bytes(base[name], ours[name])}
    assert changed == {1, 3}


def test_the_merge_command_runs_a_scalpel_recipe(tmp_path, scene):
    from click.testing import CliRunner

    from sae_merge_method.cli.merge import command

    (tmp_path / "recipe.yml").write_text(recipe(scene))
    words = [str(tmp_path / "recipe.yml"), str(tmp_path / "out")]
    assert CliRunner().invoke(command, words, catch_exceptions=False).exit_code == 0
    report = read_edit_report(tmp_path / "out")
    assert (report.merge_method, report.layers) == ("sae_scalpel", (1, 3))
    assert report.energy == pytest.approx(0.49 * energy(moved(scene, kernel(scene))), rel=1e-4)


def test_the_stethoscopes_energy_is_the_same_through_both_doors(tmp_path, scene, merge: Merge):
    source = recipe(scene, "sae_stethoscope", layers=LAYERS, energy=0.3)
    merge(source)
    ours, stock = tiny.load_tensors(tmp_path / "out"), plain_mergekit(source, tmp_path / "stock")
    assert all(tiny.same_bytes(ours[name], stock[name]) for name in ours)


@pytest.mark.parametrize(
    ("method", "given", "error", "message"),
    [
        ("sae_scalpel", {"rank": None}, RecipeError, "exactly one of rank"),
        ("sae_scalpel", {"features": "1: 0; 3: 1"}, RecipeError, "exactly one of rank"),
        ("sae_scalpel", {"rank": 0}, RecipeError, "parameters.rank: .*greater than or equal to 1"),
        ("sae_scalpel", {"rank": 2.5}, RecipeError, "parameters.rank: .*valid integer"),
        ("sae_scalpel", {"rank": [1, 2]}, RecipeError, "parameters.rank: expected one value: .*gradient"),
        ("sae_scalpel", {"rank": 17}, RecipeError, "rank: 17 is more than the residual stream's 16"),
        ("sae_scalpel", {"rank": 99}, SaeError, "more features than the SAE of layer 1 has"),
        ("sae_scalpel", {"mode": "slice"}, RecipeError, "parameters.mode: .*'project', 'reject', 'random'"),
        ("sae_scalpel", {"beta": 0.5}, RecipeError, "beta and gamma belong to mode: hybrid"),
        ("sae_scalpel", {"energy": 0.5}, RecipeError, "parameters.energy: unknown key"),
        ("sae_scalpel", {"sae": "nowhere/{layer}"}, SaeError, "there is no folder nowhere/1"),
        ("sae_scalpel", {"rank": None, "features": 3}, RecipeError, "parameters.features: .*quoted string"),
        ("sae_scalpel", {"energy_match": "yes"}, RecipeError, "parameters.energy_match: .*boolean"),
        ("sae_scalpel", {"residual_axes": "mlp"}, RecipeError, "residual_axes: expected items like"),
        ("sae_stethoscope", {"layers": LAYERS, "rank": 4}, RecipeError, "parameters.rank: unknown key"),
        ("sae_stethoscope", {"layers": LAYERS, "energy": -1}, RecipeError, "parameters.energy: .*greater"),
        (
            "sae_stethoscope",
            {"layers": LAYERS, "energy": [0, 1]},
            RecipeError,
            "parameters.energy: .*gradient",
        ),
        ("sae_stethoscope", {"layers": LAYERS, "diagnosis": "d"}, RecipeError, "needs select"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_written(
    tmp_path, scene, merge: Merge, method, given, error, message
):
    values = parameters(scene, **given) if method == "sae_scalpel" else given
    source = recipe(scene, method, **{name: value for name, value in values.items() if value is not None})
    with pytest.raises(error, match=message):
        merge(source)
    assert not (tmp_path / "out").exists()
    if not any(
        word in message for word in ("gradient", "unknown key", "boolean")
    ):  # mergekit lets these pass
        with pytest.raises((SaeMergeError, ValueError)):
            plain_mergekit(source, tmp_path / "stock")
