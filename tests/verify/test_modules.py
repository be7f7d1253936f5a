"""What an audit finds where a gate opens parts of layers and something else was done."""

import json
import shutil
from pathlib import Path

import pytest

from sae_merge_method.verify.audit import verify
from tests import tiny
from tests.recipes import recipe_text, run_recipe
from tests.verify.conftest import rewrite, violations

LAYER = "model.layers.1."


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("modules")
    base, donor = tiny.gemma3_text(folder / "base", 0), tiny.gemma3_text(folder / "donor", 1)
    run_recipe(recipe_text(base, donor, 'layers: "1.attn, 3"'), folder / "out")
    return folder


def changed(made: Path, to: Path, source: str, *names: str) -> Path:
    """A copy of the merge in which some tensors are the base's or the donor's."""
    shutil.copytree(made / "out", to)
    theirs = tiny.load_tensors(made / source)
    return rewrite(to, lambda tensors: tensors.update({name: theirs[name] for name in names}))


def test_an_edit_of_a_part_is_proved_in_full(made):
    report = verify(made / "out")
    assert report.sound and not report.unproved
    assert [str(unit) for unit in report.layers] == ["1.attn", "3"]
    assert any(sentence.startswith("19 edited tensors: base + weight") for sentence in report.proved)


def test_an_edit_that_went_beyond_its_part_is_found(tmp_path, made):
    beyond = [f"{LAYER}mlp.{name}_proj.weight" for name in ("up", "gate", "down")]
    found = violations(changed(made, tmp_path / "out", "donor", *beyond))
    assert set(found) == set(beyond)
    assert "values differ from the base (of layer 1 only 1.attn is selected)" in found[beyond[0]]


def test_an_edit_of_the_whole_layer_in_place_of_a_part_is_found_norms_and_all(tmp_path, made):
    rest = [f"{LAYER}{part}" for part in tiny.layer_parts() if not part.startswith("self_attn.")]
    assert set(violations(changed(made, tmp_path / "out", "donor", *rest))) == set(rest)


def test_an_edit_of_less_than_its_part_is_found(tmp_path, made):
    less = f"{LAYER}self_attn.o_proj.weight"
    found = violations(changed(made, tmp_path / "out", "base", less))
    assert set(found) == {less}
    assert "differ from base + weight * (donor - base) (1.attn is selected)" in found[less]


@pytest.mark.usefixtures("alone")
def test_the_report_alone_tells_an_edit_beyond_the_part(tmp_path, made):
    beyond = f"{LAYER}mlp.up_proj.weight"
    out = changed(made, tmp_path / "out", "donor", beyond)
    assert set(violations(out)) == {beyond}


def test_a_report_that_calls_a_closed_part_edited_is_found(tmp_path, made):
    out = tmp_path / "out"
    shutil.copytree(made / "out", out)
    report = json.loads((out / "edit_report.json").read_text())
    closed = next(tensor for tensor in report["tensors"] if tensor["name"] == f"{LAYER}mlp.up_proj.weight")
    closed["status"] = "edited"
    (out / "edit_report.json").write_text(json.dumps(report))
    assert "calls it edited, against its own layers" in violations(out)[closed["name"]]


def test_a_recipe_with_another_part_is_not_the_one_that_was_run(tmp_path, made):
    out = tmp_path / "out"
    shutil.copytree(made / "out", out)
    config = out / "mergekit_config.yml"
    config.write_text(config.read_text().replace("1.attn", "1.mlp"))
    found = violations(out)
    assert "has layers 1.attn, 3 selected, the recipe 1.mlp, 3" in found["edit_report.json"]
    assert f"{LAYER}self_attn.q_proj.weight" in found and f"{LAYER}mlp.up_proj.weight" in found
