"""SAEs are trained on every family of models, described, and read by everybody."""

from pathlib import Path

import pytest
import torch
from sae_lens import SAE

from sae_merge_method.artifacts.sae_training import SaeTraining, read_training
from sae_merge_method.errors import ModelError, RefusedSaeError, SaeMergeError, UsageError
from sae_merge_method.loaded.sites import Site
from sae_merge_method.saes.find import find_sae, find_saes
from sae_merge_method.saes.opening import load_sae
from sae_merge_method.train_saes import plan, run
from sae_merge_method.train_saes.card import card
from sae_merge_method.train_saes.run import train_saes
from sae_merge_method.train_saes.settings import parse_count
from sae_merge_method.train_saes.states import Kept
from tests.diagnose import hosts
from tests.layouts.test_twelve_families import saved
from tests.loaded.test_residual_stream import BUILDERS
from tests.train_saes.conftest import BLOCK, STEP, STEPS, Settings, content


def test_what_is_written_is_saelens_own_format_a_report_and_a_card(whole: Path, maths: Path) -> None:
    assert sorted(content(whole)) == [
        "README.md",
        *(f"layer_{n}/{name}" for n in (0, 2) for name in ("cfg.json", "sae_weights.safetensors")),
        "train_saes.json",
    ]
    report = read_training(whole)
    assert [(one.layer, one.hook_point) for one in report.saes] == [
        (0, "blocks.0.hook_resid_post"),
        (2, "blocks.2.hook_resid_post"),
    ]
    assert (report.tokens, report.steps, report.texts[0].name) == (STEPS * STEP, STEPS, str(maths))
    assert report.texts[0].tokens_read == pytest.approx(2 * report.texts[1].tokens_read, abs=40)
    for one in report.saes:
        sae = SAE.load_from_disk(whole / one.folder)
        assert sae.cfg.architecture() == "jumprelu"
        assert sae.cfg.metadata.hook_name == one.hook_point
        assert sae.cfg.metadata.prepend_bos
        assert one.judgement is not None
        assert one.judgement.explained_variance > 0
        assert 0 < one.judgement.l0 < 32
    card = (whole / "README.md").read_text()
    assert "hf upload OWNER/NAME ." in card
    assert "library_name: saelens" in card
    assert str(maths) in card
    assert not list(whole.parent.glob(".whole*"))


@pytest.mark.parametrize(("tokens", "step"), [("500", 128), ("32k", 128), ("64k", 250), ("2M", 1024)])
def test_a_short_training_takes_smaller_steps_rather_than_few(
    settings: Settings, tokens: str, step: int
) -> None:
    from sae_merge_method.train_saes.job import open_job

    job = open_job(settings(tokens=tokens, step_tokens=None))
    assert (job.step_tokens, job.schedule.steps) == (step, parse_count(tokens) // step)
    assert job.recorded()["step_tokens"] == step
    assert open_job(settings(tokens="100", step_tokens=None)).step_tokens == 100


def test_the_plan_splits_into_as_few_passes_as_fit(settings: Settings) -> None:
    from sae_merge_method.train_saes.job import open_job

    job = open_job(settings(layers="all", hook=("resid_post", "attn_out")))
    measured = plan.FirstBatch(forward_seconds=0.001, step_seconds=0.01, working_bytes=1000)
    one = plan.make_plan(job, measured, 1)
    each = one.state_bytes + one.buffer_bytes
    assert [len(group) for group in one.groups] == [1] * 8
    assert one.state_bytes == 4 * 4 * (2 * 32 * 64 + 64 + 32)
    for room, sizes in ((3, [3, 3, 2]), (4, [4, 4]), (7, [4, 4]), (8, [8]), (100, [8])):
        planned = plan.make_plan(job, measured, round((1000 + room * each + 1) / plan._SHARE))
        assert [len(group) for group in planned.groups] == sizes
        assert [site for group in planned.groups for site in group] == list(job.sites)
        assert planned.forward_seconds == pytest.approx(STEPS * STEP * len(sizes) * 0.001)
        assert planned.step_seconds == pytest.approx(8 * STEPS * 0.01)


def test_a_plan_of_what_is_left_counts_whole_blocks_and_no_step_that_was_taken(settings: Settings) -> None:
    from sae_merge_method.train_saes.job import open_job

    job = open_job(settings(tokens=str(10 * STEP)))  # 10 steps, 4 of them a block
    measured = plan.FirstBatch(forward_seconds=0.001, step_seconds=0.01, working_bytes=1000)
    weights = 4 * (2 * 32 * 64 + 64 + 32)
    whole = plan.make_plan(job, measured, 1 << 30)
    assert whole.forward_seconds == pytest.approx(3 * BLOCK * 0.001)
    assert whole.step_seconds == pytest.approx(2 * 10 * 0.01)
    assert whole.disk_bytes == (2 * 4 + 3) * weights
    assert "done before" not in str(whole)
    for taken, blocks in (((3, 3), 3), ((4, 4), 2), ((4, 10), 2), ((9, 9), 1), ((10, 10), 0)):
        kept = {Site(layer): Kept(steps, 1000) for layer, steps in zip((0, 2), taken, strict=True)}
        left = plan.make_plan(job, measured, 1 << 30, kept)
        assert left.forward_seconds == pytest.approx(blocks * BLOCK * 0.001)
        assert left.step_seconds == pytest.approx((2 * 10 - sum(taken)) * 0.01)
        assert left.disk_bytes == whole.disk_bytes - 2000
        assert f"over the texts, {sum(taken) / 20:.0%} of the steps done before: about" in str(left)


def test_what_is_tried_is_timed_once_it_is_warm(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter((0.0, 7.0))
    monkeypatch.setattr(plan.time, "perf_counter", lambda: next(clock))
    calls: list[str] = []
    seconds, _ = plan._tried(lambda: calls.append("once"), torch.device("cpu"))
    assert (seconds, calls) == (7.0, ["once", "once"])


def test_a_disk_without_room_is_told_of_before_anything_is_trained(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 100_000}))
    said: list[str] = []
    with pytest.raises(SaeMergeError, match="has no room: states and SAEs take 0 MiB, 0 MiB are free"):
        train_saes(settings(), tmp_path / "saes", report=said.append)
    assert len(said) == 1
    assert "MiB on the disk" in said[0]
    assert not list(tmp_path.iterdir())


def qwen_of_letters(folder: Path) -> Path:
    """Qwen's own tokenizer, which puts nothing before a document."""
    from transformers import Qwen2Tokenizer

    BUILDERS["qwen2"](folder)
    vocabulary = {token: nth for nth, token in enumerate(("<|endoftext|>", *"mpc0123456789", "\u0120"))}
    Qwen2Tokenizer(vocab=vocabulary, merges=[]).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("family", ["llama", "qwen2", "gemma3 multimodal", "gpt2"])
def test_every_family_is_trained_at_every_site(family: str, settings: Settings, tmp_path: Path) -> None:
    model = {**BUILDERS, "qwen2": qwen_of_letters}[family](tmp_path / "model")
    report = train_saes(
        settings(model=model, layers="1", hook=("resid_post", "attn_out", "mlp_out"), tokens="64"),
        tmp_path / "saes",
    )
    assert [one.folder for one in report.saes] == ["layer_1", "attn_out/layer_1", "mlp_out/layer_1"]
    asked = "--target TARGET --control CONTROL --out"
    whole = f"sae-merge diagnose --model MODEL --sae . {asked} diagnosis"
    assert commands(report, "resid_post") == [whole]
    assert commands(report, "mlp_out") == [
        f"sae-merge diagnose --model MODEL --sae mlp_out {asked} diagnosis-of-parts"
    ]
    assert commands(report, "resid_post", "attn_out", "mlp_out") == [
        whole,
        f"sae-merge diagnose --model MODEL --sae attn_out --sae mlp_out {asked} diagnosis-of-parts",
    ]
    (address,) = find_saes(str(tmp_path / "saes"), None, range(3))
    assert load_sae(address, 32, torch.float32, torch.device("cpu")).source.d_sae == 64
    assert (
        SAE.load_from_disk(tmp_path / "saes/attn_out/layer_1").cfg.metadata.hook_name
        == "blocks.1.hook_attn_out"
    )
    for hook in ("attn_out", "mlp_out"):
        at = find_sae(str(tmp_path / "saes" / hook), None, 1)
        assert load_sae(at, 32, torch.float32, torch.device("cpu"), hook).source.d_sae == 64
        with pytest.raises(RefusedSaeError, match=f"reads blocks.1.hook_{hook}: expected block 1's output"):
            load_sae(at, 32, torch.float32, torch.device("cpu"))


def commands(report: SaeTraining, *hooks: str) -> list[str]:
    """What the card of a report's SAEs of some hooks says to type."""
    saes = tuple(one for one in report.saes if one.hook in hooks)
    lines = card(report.model_copy(update={"saes": saes})).splitlines()
    return [line for line in lines if line.startswith("sae-merge ")]


def test_a_bfloat16_model_has_float32_saes(settings: Settings, tmp_path: Path) -> None:
    report = train_saes(settings(dtype="bfloat16", layers="1", held_out=0), tmp_path / "saes")
    assert report.settings["dtype"] == "bfloat16"
    assert report.saes[0].judgement is None
    assert SAE.load_from_disk(tmp_path / "saes/layer_1").W_enc.dtype == torch.float32


def test_a_diagnosis_the_scalpel_and_energy_read_what_was_trained(
    gemma3: Path, maths: Path, prose: Path, whole: Path, tmp_path: Path
) -> None:
    import sae_merge_method as sm
    from tests.diagnose.command import diagnose

    diagnose(tmp_path / "diagnosis", gemma3, str(whole), maths, prose, "--dtype", "float32")
    found = sm.read_diagnosis(tmp_path / "diagnosis")
    assert [entry.layer for entry in found.layers] == [0, 2]
    report: SaeTraining = read_training(whole)
    for entry, one in zip(found.layers, report.saes, strict=True):
        assert entry.sae.hook_point == one.hook_point
    donor = hosts.random_gemma3(tmp_path / "donor", seed=1)
    measured = sm.energy(
        sm.EnergySettings(base=gemma3, donor=donor, diagnosis=tmp_path / "diagnosis", layers="2")
    )
    assert measured.layers[0].features > 0
    recipe = tmp_path / "scalpel.yml"
    recipe.write_text(
        f"merge_method: sae_scalpel\nbase_model: {gemma3}\nmodels:\n  - model: {donor}\n    parameters: {{weight: 1.0}}\n"
        f"parameters: {{layers: '2', sae: {whole}, features: '0, 5, 9'}}\ndtype: float32\n"
    )
    sm.merge(recipe, tmp_path / "out")
    assert sm.read_edit_report(tmp_path / "out").energy > 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"k": 100}, "at most as many active features as there are, 64"), ({"layers": "9"}, "layer")],
)
def test_what_cannot_be_trained_is_refused_before_anything_is(
    changes: dict[str, object], message: str, settings: Settings, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=message):
        train_saes(settings(**changes), tmp_path / "saes")
    assert not list(tmp_path.iterdir())


def test_a_model_of_several_streams_is_refused_before_anything_is_planned(
    settings: Settings, tmp_path: Path
) -> None:
    model = saved(tmp_path / "model", "gemma3n_text", 0)
    hosts.save_tokenizer(model)
    said: list[str] = []
    with pytest.raises(ModelError, match="Gemma3nTextModel put out several streams at once"):
        train_saes(settings(model=model), tmp_path / "saes", report=said.append)
    assert not said


@pytest.mark.parametrize(
    "wrong",
    [
        {"tokens": "many"},
        {"tokens": "0"},
        {"width": "x"},
        {"width": "0"},
        {"memory": "much"},
        {"hook": ("q",)},
    ],
)
def test_settings_that_mean_nothing_are_refused(wrong: dict[str, object], settings: Settings) -> None:
    with pytest.raises(ValueError, match="expected"):
        settings(**wrong)
