"""The report names every tensor, its hash and its energy, whichever engine wrote it."""

from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from sae_merge_method.artifacts.edit_report import EditReport, read_edit_report
from sae_merge_method.cli.merge import command
from sae_merge_method.merge.show import summary
from sae_merge_method.models.tensor_names import decoder_layer
from sae_merge_method.recipe.precision import told_by
from tests import tiny
from tests.adapters import save_lora
from tests.merge.scalpels import energy, kernel, moved, recipe
from tests.recipes import recipe_text, run_recipe


def test_the_report_names_every_tensor_with_its_hash_and_energy(tmp_path, base, donor, merge):
    report = merge(recipe_text(base, donor, weight="0.5"))
    assert read_edit_report(tmp_path / "out") == report
    before, give = tiny.load_tensors(base), tiny.load_tensors(donor)
    assert {tensor.name for tensor in report.tensors} == before.keys()
    assert {tensor.layer for tensor in report.edited()} == {1, 3}
    expected = sum(
        float((0.5 * (give[name] - before[name])).double().square().sum())
        for name in before
        if decoder_layer(name) in (1, 3)
    )
    assert report.energy == pytest.approx(expected, rel=1e-5)


def test_the_hash_of_the_result_tells_results_apart_and_all_hashes_come_on_request(tmp_path, base, donor):
    reports = [
        run_recipe(recipe_text(base, donor, weight=weight), tmp_path / f"out{n}", hash_all=n == 2)
        for n, weight in enumerate(["0.5", "0.25", "0.5"])
    ]  # fmt: skip
    hashes = [report.result_sha256 for report in reports]
    assert hashes[0] != hashes[1] and hashes[0] == hashes[2]
    assert all(tensor.sha256 for tensor in reports[2].tensors)
    assert {tensor.status for tensor in reports[0].tensors if tensor.sha256 is None} == {"base"}
    assert hashes[0][:16] in summary(reports[0], 1.0)


def test_the_report_records_what_adapters_were_rounded_to_before_the_edit(tmp_path):
    base = tiny.gemma3_text(tmp_path / "base", 0, dtype=torch.bfloat16)
    donor, adapter = tiny.gemma3_text(tmp_path / "donor", 1), save_lora(tmp_path / "adapter", [1])
    adapted = recipe_text(base, Path(f"{base}+{adapter}"))
    once, rounded, none = (
        run_recipe(text, tmp_path / f"out{n}", options={"lora_merge_dtype": dtype})
        for n, (text, dtype) in enumerate(
            [(adapted, None), (adapted, "bfloat16"), (recipe_text(base, donor), "bfloat16")]
        )
    )
    kept = [report.request.lora_merge_dtype for report in (once, rounded, none)]
    assert kept == [None, "bfloat16", None]
    assert [told_by(report).rounds for report in (once, none)] == ["rounded once"] * 2
    assert "rounded to bfloat16 as they were merged, then rounded again" in told_by(rounded).rounds
    older = rounded.model_dump(mode="json")
    del older["request"]["lora_merge_dtype"]
    assert EditReport.model_validate(older).request.lora_merge_dtype is None


def test_the_merge_command_runs_a_scalpel_recipe(tmp_path, scene):
    (tmp_path / "recipe.yml").write_text(recipe(scene))
    words = [str(tmp_path / "recipe.yml"), str(tmp_path / "out")]
    assert CliRunner().invoke(command, words, catch_exceptions=False).exit_code == 0
    report = read_edit_report(tmp_path / "out")
    assert (report.merge_method, report.layers) == ("sae_scalpel", (1, 3))
    assert report.energy == pytest.approx(0.49 * energy(moved(scene, kernel(scene))), rel=1e-4)
