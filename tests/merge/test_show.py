"""Edits as people see them: a row a layer, their sums, and one line."""

import pytest

from sae_merge_method.artifacts.edit_preview import EditPreview, LayerPreview
from sae_merge_method.artifacts.edit_report import EditReport, EditRequest, TensorReport
from sae_merge_method.merge.show import preview_view, report_view, summary
from sae_merge_method.reports.notebook import view_html, view_text


def tensor(name: str, layer: int | None, energy: float) -> TensorReport:
    return TensorReport(
        name=name,
        layer=layer,
        status="base" if layer is None else "edited",
        dtype="BF16",
        shape=(600, 2),
        xxh3=f"{len(name):032x}",
        sha256=None,
        nbytes=2400,
        energy=energy,
    )


@pytest.fixture
def report() -> EditReport:
    return EditReport(
        merge_method="sae_stethoscope",
        base_model="./base",
        base_config_sha256="0" * 64,
        donors=("./donor",),
        layers=(1, 12),
        energy=0.75,
        tensors=(
            tensor("a", 1, 0.25),
            tensor("bb", 1, 0.125),
            tensor("ccc", 12, 0.375),
            tensor("d", None, 0.0),
        ),
        beside=(),
        request=EditRequest(recipe_sha256="0" * 64, parameters={}, weights=()),
    )


def preview(energy: float | None, reason: str | None = None) -> EditPreview:
    layers = (
        LayerPreview(layer=9, tensors=13, nbytes=1_246_912, energy=energy),
        LayerPreview(layer=10, tensors=13, nbytes=1_246_912, energy=0.5),
    )
    return EditPreview(layers=layers, kept=67, only_mergekit=reason)


def test_a_dry_run_has_a_row_a_layer_and_one_for_all():
    assert view_text(preview_view(preview(0.125))).splitlines() == [
        "layer  tensors      bytes  energy",
        "    9       13  1,246,912   0.125",
        "   10       13  1,246,912     0.5",
        "  all       26  2,493,824   0.625",
        "",
        "dry run: nothing was written; 67 other tensors would stay the base's",
    ]


def test_an_energy_that_is_not_known_is_no_number_and_the_reason_is_said():
    lines = view_text(preview_view(preview(None, "--cuda is mergekit's"))).splitlines()
    assert [line.split()[-1] for line in lines[1:4]] == ["-", "0.5", "-"]
    assert lines[-1] == (
        "this recipe runs through mergekit (--cuda is mergekit's): its energy is known only afterwards"
    )


def test_a_report_is_summed_up_by_layer_and_in_one_line(report):
    rows = [line.split() for line in view_text(report_view(report)).splitlines()[1:4]]
    assert rows == [
        ["1", "2", "4,800", "0.375"],
        ["12", "1", "2,400", "0.375"],
        ["all", "3", "7,200", "0.75"],
    ]
    assert summary(report, 2.04) == (
        "layers 1, 12: 3 of 4 tensors edited, 7,200 bytes, energy 0.75, 2.0 s; "
        f"all others are the base's, byte for byte; result {report.result_sha256[:16]}"
    )
    assert ", 2.0 s" not in summary(report)


def test_of_a_report_that_lacks_a_hash_no_result_is_named(report):
    unread = report.tensors[-1].model_copy(update={"xxh3": None})
    report = report.model_copy(update={"tensors": (*report.tensors[:-1], unread)})
    assert report.result_sha256 is None
    assert summary(report).endswith(
        "the base's, byte for byte, and were not read: --hash-all hashes them too"
    )


def test_a_notebook_shows_the_same_table(report):
    assert report._repr_html_() == view_html(report_view(report))
    assert preview(0.125)._repr_html_() == view_html(preview_view(preview(0.125)))
