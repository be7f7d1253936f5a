"""A recipe or a report that was changed afterwards, and what can be said with one of them alone."""

import json
import shutil
from pathlib import Path

import pytest

from sae_merge_method.errors import ArtifactError
from sae_merge_method.verify.audit import verify
from tests.verify.conftest import Q_PROJ, violations


def test_a_changed_alpha_is_caught_and_the_true_one_guessed(tmp_path, merged):
    out = merged.copy(tmp_path / "out")
    config = out / "mergekit_config.yml"
    config.write_text(config.read_text().replace("weight: 0.5", "weight: 0.4"))
    found = violations(out)
    donor = f"in layers 1, 3: {merged.donor} has weight"
    assert found.pop("mergekit_config.yml") == f"{donor} 0.4, edit_report.json says 0.5"
    assert len(found) == 26
    assert found[Q_PROJ].endswith("it looks like weight 0.5, the recipe says 0.4")
    assert "54 tensors have the hashes of edit_report.json" in verify(out).proved


def test_a_changed_gate_is_caught(tmp_path, merged):
    out = merged.copy(tmp_path / "out")
    config = out / "mergekit_config.yml"
    config.write_text(config.read_text().replace('"1, 3"', '"1, 2"'))
    found = violations(out)
    assert "has layers 1, 3 selected, the recipe 1, 2" in found["edit_report.json"]
    assert {name.split(".")[2] for name in found if name.startswith("model.layers")} == {"2", "3"}


def test_a_forged_report_is_caught_by_its_sha256(tmp_path, merged):
    import hashlib

    out = merged.copy(tmp_path / "out")
    report = json.loads((out / "edit_report.json").read_text())
    entry = next(tensor for tensor in report["tensors"] if tensor["name"] == Q_PROJ)
    entry["sha256"] = hashlib.sha256(b"another").hexdigest()
    (out / "edit_report.json").write_text(json.dumps(report))
    assert "do not have the sha256" in violations(out)[Q_PROJ]


def forget_hashes(out: Path) -> None:
    """A report as an edit in place writes it, which read no tensor that it left."""
    report = json.loads((out / "edit_report.json").read_text())
    for tensor in report["tensors"]:
        if tensor["status"] == "base":
            tensor["xxh3"] = None
    (out / "edit_report.json").write_text(json.dumps(report))


def test_what_a_report_has_no_hash_of_is_proved_by_the_base_alone(tmp_path, merged):
    out = merged.copy(tmp_path / "out")
    forget_hashes(out)
    report = verify(out)
    assert report.sound and not report.unproved
    assert "26 tensors have the hashes of edit_report.json" in report.proved
    assert any("28 tensors outside the selected layers: the base's bytes" in line for line in report.proved)


@pytest.mark.usefixtures("alone")
def test_what_a_report_has_no_hash_of_is_not_proved_without_the_base_and_that_is_said(tmp_path, merged):
    out = merged.copy(tmp_path / "out")
    forget_hashes(out)
    report = verify(out)
    assert report.sound
    assert "26 tensors have the hashes of edit_report.json" in report.proved
    assert "the bytes of 28 tensors that were not edited" in [
        line.partition(":")[0] for line in report.unproved
    ]


def test_without_its_models_a_checkpoint_is_held_against_its_hashes_and_that_is_said(tmp_path, merged):
    out = merged.copy(tmp_path / "out")
    config = out / "mergekit_config.yml"
    text = config.read_text().replace(str(merged.base), "./gone").replace(str(merged.donor), "./donor-gone")
    config.write_text(text)
    report = verify(out)
    assert report.sound
    assert [line for line in report.unproved if "the base ./gone: it is not at hand" in line]
    assert "54 tensors have the hashes of edit_report.json" in report.proved
    named = verify(out, str(merged.base), [str(merged.donor)])
    assert named.sound
    assert [line.partition(":")[0] for line in named.unproved] == [
        "that mergekit_config.yml is the text that was run"
    ]
    assert f"./donor-gone stands for {merged.donor}" in named.unproved[0]
    (out / "edit_report.json").unlink()
    base_only = verify(out, str(merged.base))
    assert base_only.sound and "the donor ./donor-gone: it is not at hand" in base_only.unproved[0]
    with pytest.raises(ArtifactError, match=r"no edit_report\.json, and its base \./gone is not at hand"):
        verify(out)


def test_a_gate_computed_from_a_diagnosis_that_is_gone_is_taken_from_the_report(tmp_path, merged):
    out = merged.copy(tmp_path / "out")
    config = out / "mergekit_config.yml"
    gone = f'diagnosis: "{tmp_path}/diagnosis.json", select: top_k=2'
    config.write_text(config.read_text().replace('layers: "1, 3"', gone))
    report = verify(out)
    assert report.sound
    assert "that top_k=2 chooses the layers of edit_report.json" in report.unproved[0]


def in_recipe(out: Path, old: str, new: str) -> str:
    """Change the recipe in a folder; what an audit then finds wrong with it."""
    config = out / "mergekit_config.yml"
    assert old in config.read_text()
    config.write_text(config.read_text().replace(old, new))
    return violations(out).get("mergekit_config.yml", "")


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("weight: 0.5", "weight: 0.4", "in layers 1, 3: DONOR has weight 0.4, edit_report.json says 0.5"),
        (
            "weight: 0.5",
            "weight: [{filter: mlp, value: 1}, {value: 0.5}]",
            "DONOR has weight 1 for mlp, 0.5, edit_report.json says 0.5",
        ),
        ("weight: 0.5", "weight: [0.5, 1.0]", "in layer 3: DONOR has weight 1,"),
        ('"1, 3"}', '"1, 3", energy: 0.25}', "energy is 0.25, edit_report.json says not given"),
        ("models:", "models:\n  - {model: ./another}", "in layers 1, 3: 2 donors, edit_report.json says 1"),
    ],
)
def test_a_recipe_changed_afterwards_is_caught_without_base_and_donor(tmp_path, merged, old, new, said):
    out = merged.copy(tmp_path / "out")
    found = in_recipe(out, old, new)
    if "in layer 3" in said:  # a gradient: layer 1 has another weight too
        assert "in layer 1: " in found
    assert said.replace("DONOR", str(merged.donor)) in found


@pytest.mark.usefixtures("alone")
def test_a_scalpel_recipe_changed_afterwards_is_caught_by_its_parameters(tmp_path, cut):
    shutil.copytree(cut, tmp_path / "out")
    assert in_recipe(tmp_path / "out", "rank: 4", "rank: 5") == "rank is 5, edit_report.json says 4"


@pytest.mark.usefixtures("alone")
def test_what_changes_no_edit_is_said_and_is_no_violation(tmp_path, merged):
    out = merged.copy(tmp_path / "out")
    assert "mergekit_config.yml is the recipe that was run, to the byte" in verify(out).proved
    assert not in_recipe(out, "models:", "# a comment\nmodels:")
    report = verify(out)
    assert "mergekit_config.yml asks for the weights and parameters of edit_report.json" in report.proved
    assert any("is the text that was run: its sha256 is not" in line for line in report.unproved)


def test_a_report_of_an_earlier_version_is_refused(tmp_path, merged):
    out = merged.copy(tmp_path / "out")
    report = json.loads((out / "edit_report.json").read_text())
    (out / "edit_report.json").write_text(json.dumps(report | {"schema_version": 1}))
    with pytest.raises(ArtifactError, match="schema_version: Input should be 4"):
        verify(out)
