"""What is planted is found, nothing is found where nothing is, and the parts add up to the whole."""

import json
import re
import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file

from sae_merge_method.artifacts.attribution import ATTRIBUTION_FILE
from sae_merge_method.artifacts.attribution_groups import GROUPS_FILE
from sae_merge_method.attribute import measure, run
from sae_merge_method.attribute.run import attribute
from sae_merge_method.errors import ArtifactError, MergeError, UsageError
from sae_merge_method.files import stamps
from sae_merge_method.loaded import text_model
from sae_merge_method.models.devices import resolve_device
from tests.attribute.conftest import settings
from tests.attribute.planted import DAMAGE, GAIN, N_LAYERS
from tests.attributions import read_groups

NOISY = [layer for layer in range(N_LAYERS) if layer not in (GAIN, DAMAGE)]


def amounts(text, what="path"):
    return [getattr(layer, what).gain for layer in text.layers]


@pytest.mark.parametrize("what", ["path", "first_order", "probe"])
def test_gain_and_damage_are_found_in_the_layers_where_they_were_planted(attributed, what):
    gains, harms = amounts(attributed.target, what), amounts(attributed.controls[0], what)
    assert np.argmax(gains) == GAIN
    assert np.argmin(harms) == DAMAGE
    assert max(abs(gains[layer]) for layer in NOISY) < 0.1 * gains[GAIN]
    assert max(abs(harms[layer]) for layer in NOISY) < 0.1 * -harms[DAMAGE]


def test_the_parts_add_up_to_what_the_donor_gains(attributed):
    for text in attributed.texts:
        whole = text.base_loss - text.donor_loss
        assert text.gain.gain == pytest.approx(whole)
        parts = sum(amounts(text)) + sum(text.outside.values())
        assert parts == pytest.approx(whole, rel=0.02)
        assert text.missed <= 0.02
        assert sum(text.tensors.values()) == pytest.approx(parts)
        for layer in text.layers:
            assert sum(layer.kinds.values()) == pytest.approx(layer.path.gain)


def test_an_amount_lies_in_its_interval_and_a_share_is_of_the_whole(attributed):
    for layer in attributed.target.layers:
        assert layer.path.low <= layer.path.gain <= layer.path.high
        assert layer.share == pytest.approx(layer.path.gain / attributed.target.gain.gain)


def test_a_donor_that_is_nothing_but_noise_gains_next_to_nothing(ground, attributed, tmp_path):
    noise = ground.donor("noise", ground.noise(range(N_LAYERS), 0.15))
    found = attribute(settings(ground, noise), tmp_path / "out")
    for of_noise, of_planted in zip(found.texts, attributed.texts, strict=True):
        most = max(map(abs, amounts(of_planted)))
        assert max(map(abs, amounts(of_noise))) < 0.05 * most


def test_a_loss_that_is_no_number_is_told_and_not_kept_for_the_next_run(ground, tmp_path):
    donor = ground.donor("beyond", ground.able, factor=1e30)
    with pytest.raises(MergeError, match=r"target.*: the slope is not finite at weight"):
        attribute(settings(ground, donor), tmp_path / "out")
    kept = list(tmp_path.glob(".out*/*.safetensors"))
    assert kept and all(
        np.isfinite(load_file(file)[name]).all() for file in kept for name in ("losses", "slopes")
    )


def test_a_donor_so_large_that_it_saturates_is_attributed_within_the_tolerance_too(ground, tmp_path):
    donor = ground.donor("large", ground.able, ground.harmful, factor=3.0)
    found = attribute(settings(ground, donor, most_points=64), tmp_path / "out")
    gains, harms = amounts(found.target), amounts(found.controls[0])
    assert (np.argmax(gains), np.argmin(harms)) == (GAIN, DAMAGE)
    assert amounts(found.target, "first_order")[GAIN] > 1.2 * gains[GAIN]  # what the first order does not see
    for text in found.texts:
        assert text.missed <= 0.02
        parts = sum(amounts(text)) + sum(text.outside.values())
        moved = sum(map(abs, amounts(text)))
        assert abs(parts - text.gain.gain) <= 0.02 * moved


def test_sums_by_group_stand_beside_the_amounts(ground, attributed):
    target, control = read_groups(ground.folder / "attribution", 2)
    assert target.tokens.sum() == attributed.target.tokens
    assert len(target.tokens) == attributed.target.groups == 2
    assert target.path.sum() / target.tokens.sum() == pytest.approx(sum(attributed.target.tensors.values()))
    assert control.probes.shape == (2, N_LAYERS)


def test_the_first_order_alone_is_one_backward_pass_a_text(
    ground, planted, attributed, tmp_path, monkeypatch
):
    kinds = []
    measured = measure.Measurements._measure
    monkeypatch.setattr(
        measure.Measurements,
        "_measure",
        lambda self, point, advance: kinds.append(point.kind) or measured(self, point, advance),
    )
    found = attribute(settings(ground, planted, first_order=True), tmp_path / "out")
    assert kinds == ["slope", "slope", "moved"]  # the last reads a sample of the target
    assert found.target.gain is None
    assert found.target.attributed() == pytest.approx(
        dict(enumerate(amounts(attributed.target, "first_order")))
    )


class Killed(BaseException):
    pass


def test_killed_on_the_way_it_goes_on_where_it_was_and_writes_the_same_bytes(
    ground, planted, attributed, tmp_path, monkeypatch
):
    done = []
    measured = measure.Measurements._measure

    def until_the_fifth(self, point, advance):
        if len(done) == 5:
            raise Killed
        done.append(point)
        return measured(self, point, advance)

    monkeypatch.setattr(measure.Measurements, "_measure", until_the_fifth)
    with pytest.raises(Killed):
        attribute(settings(ground, planted, probe=True), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    again = []
    monkeypatch.setattr(
        measure.Measurements,
        "_measure",
        lambda self, point, advance: again.append(point) or measured(self, point, advance),
    )
    said = []
    attribute(settings(ground, planted, probe=True), tmp_path / "out", report=said.append)
    assert not set(again) & set(done)
    assert not any("pace" in line for line in said)  # what was measured before tells nothing of it
    for name in (ATTRIBUTION_FILE, GROUPS_FILE):
        whole = (ground.folder / "attribution" / name).read_bytes()
        assert (tmp_path / "out" / name).read_bytes() == whole
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_what_was_measured_with_other_settings_is_not_gone_on_with(ground, planted, tmp_path, monkeypatch):
    monkeypatch.setattr(run, "path_gains", lambda *_: (_ for _ in ()).throw(Killed))
    with pytest.raises(Killed):
        attribute(settings(ground, planted), tmp_path / "out")
    with pytest.raises(UsageError, match="groups: 2 before, 3 now"):
        attribute(settings(ground, planted, groups=3), tmp_path / "out")
    monkeypatch.setattr(stamps, "version", lambda package: "9.9")
    with pytest.raises(UsageError, match="packages: torch .* before, torch 9.9, transformers 9.9 now"):
        attribute(settings(ground, planted), tmp_path / "out")


def test_auto_is_held_against_what_it_came_to_and_so_is_the_bases_config(
    ground, planted, tmp_path, monkeypatch
):
    base = tmp_path / "base"
    shutil.copytree(ground.base, base)

    def again(**given):
        asked = settings(ground, planted, **given).model_copy(update={"base": str(base)})
        attribute(asked, tmp_path / "out")

    monkeypatch.setattr(run, "path_gains", lambda *_: (_ for _ in ()).throw(Killed))
    for device in ("auto", resolve_device()):  # two words for one device
        with pytest.raises(Killed):
            again(dtype="auto", device=device)
    monkeypatch.setattr(text_model, "model_dtype", lambda *_: "bfloat16")
    with pytest.raises(UsageError, match="dtype: float32 before, bfloat16 now"):
        again(dtype="auto")
    config = json.loads((base / "config.json").read_text())
    (base / "config.json").write_text(json.dumps(config | {"note": "another"}))
    with pytest.raises(UsageError, match=r"base's config\.json: \w+ before, \w+ now"):
        again(device="auto")


def test_a_damaged_measurement_is_named(ground, planted, tmp_path, monkeypatch):
    monkeypatch.setattr(run, "path_gains", lambda *_: (_ for _ in ()).throw(Killed))
    with pytest.raises(Killed):
        attribute(settings(ground, planted), tmp_path / "out")
    (file,) = (tmp_path / ".out.progress").glob("0-slope-*")
    file.write_bytes(b"cut")
    with pytest.raises(ArtifactError, match=re.escape(file.name)):
        attribute(settings(ground, planted), tmp_path / "out")


def test_activations_that_are_computed_again_change_no_number(ground, planted, attributed, tmp_path):
    found = attribute(settings(ground, planted, checkpointing=True, first_order=True), tmp_path / "out")
    assert amounts(found.target, "first_order") == pytest.approx(
        amounts(attributed.target, "first_order"), rel=1e-5, abs=1e-6
    )


def test_a_task_vector_that_does_not_fit_is_read_at_every_point(ground, planted, attributed, tmp_path):
    said = []
    found = attribute(
        settings(ground, planted, memory="1K", first_order=True), tmp_path / "out", report=said.append
    )
    assert "read from its files" in said[0]
    assert said[1].startswith("At this model's pace, some ")
    assert "foretold" in said[-1]
    assert amounts(found.target, "first_order") == amounts(attributed.target, "first_order")


def test_answers_alone_are_predicted_where_every_document_has_one(ground, planted, tmp_path):
    lines = ['{"prompt": "m0 m1 m2", "completion": " m3 m4"}', '{"prompt": "m5 m6", "completion": " m7"}']
    (tmp_path / "asked.jsonl").write_text("\n".join(lines))
    asked = settings(ground, planted, first_order=True).model_copy(
        update={"target": str(tmp_path / "asked.jsonl")}
    )
    found = attribute(asked, tmp_path / "out")
    assert found.target.answers
    assert found.target.tokens == 3
    assert not found.controls[0].answers
