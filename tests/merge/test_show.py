"""Edits as people see them: a row a layer, their sums, and one line."""

import pytest

from sae_merge_method.artifacts.edit_preview import EditPreview
from sae_merge_method.artifacts.edit_report import EditReport, EditRequest, TensorReport
from sae_merge_method.artifacts.realised import layer_edit
from sae_merge_method.geometry.realised import EditSums
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
        **TensorReport.figures(EditSums(2 * energy, energy, energy, 300, 1200)),
    )


@pytest.fixture
def report() -> EditReport:
    edited = (tensor("a", 1, 0.25), tensor("bb", 1, 0.125), tensor("ccc", 12, 0.375))
    return EditReport(
        **EditReport.figures(EditSums(1.5, 0.75, 0.75, 900, 3600)),
        rounding="nearest",
        by_layer=tuple(
            layer_edit(layer, [(one.sums, one.nbytes) for one in edited if one.layer == layer])
            for layer in (1, 12)
        ),
        merge_method="sae_stethoscope",
        base_model="./base",
        base_config_sha256="0" * 64,
        donors=("./donor",),
        layers=(1, 12),
        tensors=(*edited, tensor("d", None, 0.0)),
        beside=(),
        base_dtypes=("BF16",),
        request=EditRequest(recipe_sha256="0" * 64, parameters={}, weights=()),
    )


def preview(along: float, rounding: str = "nearest", reason: str | None = None) -> EditPreview:
    parts = [EditSums(0.5, 0.5, along, 50, 100), EditSums(0.5, 0.5, 0.5, 100, 100)]
    layers = tuple(layer_edit(layer, [(part, 1_246_912)] * 13) for layer, part in enumerate(parts, start=9))
    total = EditPreview.figures(EditSums(13, 13, 13 * (along + 0.5), 1950, 2600))
    return EditPreview(**total, rounding=rounding, layers=layers, kept=67, only_mergekit=reason)


def test_a_dry_run_has_a_row_a_layer_and_one_for_all():
    assert view_text(preview_view(preview(0.45))).splitlines() == [
        "layer  tensors       bytes  energy     kept  along  cosine  changed",
        "    9       13  16,209,856     6.5  100.00%  0.900   0.900   50.00%",
        "   10       13  16,209,856     6.5  100.00%  1.000   1.000  100.00%",
        "  all       26  32,419,712      13  100.00%  0.950   0.950   75.00%",
        "",
        "dry run: nothing was written; 67 other tensors would stay the base's",
        "energy: squared norm of what is stored less the base; kept: share of that to be added; along: its",
        "component along what was to be added, 1 where all of it is there; cosine: between the two; changed:",
        "share of the edited tensors' values that differ from the base's",
    ]


def test_why_a_recipe_runs_through_mergekit_is_said():
    lines = view_text(preview_view(preview(0.45, reason="--cuda is mergekit's"))).splitlines()
    assert "this recipe runs through mergekit: --cuda is mergekit's" in lines


def test_an_edit_that_rounding_swallows_is_warned_of_with_the_ways_out():
    lines = view_text(preview_view(preview(0.1))).splitlines()
    assert lines[-1] == (
        "warning: rounding to the stored dtype (nearest) leaves of the edit 100% of its energy, cosine 0.60, "
        "75% of the values changed; 'rounding: stochastic' keeps it on average, "
        "'dtype: float32' keeps it whole"
    )


def test_of_stochastic_rounding_it_is_said_what_holds_its_noise():
    told = " ".join(view_text(preview_view(preview(0.45, "stochastic"))).splitlines())
    assert told.endswith(". Under stochastic rounding energy and kept hold its noise, along does not")


def test_a_report_is_summed_up_by_layer_and_in_one_line(report):
    rows = [line.split() for line in view_text(report_view(report)).splitlines()[1:4]]
    assert rows == [
        ["1", "2", "4,800", "0.375", "50.00%", "0.500", "0.707", "25.00%"],
        ["12", "1", "2,400", "0.375", "50.00%", "0.500", "0.707", "25.00%"],
        ["all", "3", "7,200", "0.75", "50.00%", "0.500", "0.707", "25.00%"],
    ]
    assert summary(report, 2.04) == (
        "layers 1, 12: 3 of 4 tensors edited, 7,200 bytes, energy 0.75 (50% of what was to be added, "
        "cosine 0.71, 25% of the values changed), 2.0 s; "
        f"all others are the base's, byte for byte; result {report.result_sha256[:16]}"
    )
    assert ", 2.0 s" not in summary(report)


def test_what_was_not_edited_is_called_what_the_dtypes_made_of_it(report):
    for base, kept in (
        (("BF16",), "the base's, byte for byte"),
        (("F32",), "the base's values, rounded to bfloat16"),
        (("F16",), "the base's values, rounded to bfloat16"),
        (None, "the base's"),  # of a report that does not say
    ):
        told = report.model_copy(update={"base_dtypes": base})
        assert f"; all others are {kept}; result" in summary(told)
    wide = [one.model_copy(update={"dtype": "F32"}) for one in report.tensors]
    told = report.model_copy(update={"tensors": tuple(wide)})
    assert "; all others are the base's values, widened to float32; result" in summary(told)
    mixed = report.model_copy(
        update={"tensors": (*report.tensors[:-1], wide[-1]), "base_dtypes": ("BF16", "F32")}
    )
    assert "; all others are the base's, byte for byte; result" in summary(mixed)


def test_of_a_report_that_lacks_a_hash_no_result_is_named(report):
    unread = report.tensors[-1].model_copy(update={"xxh3": None})
    report = report.model_copy(update={"tensors": (*report.tensors[:-1], unread)})
    assert report.result_sha256 is None
    assert summary(report).endswith(
        "the base's, byte for byte, and were not read: --hash-all hashes them too"
    )


def test_a_notebook_shows_the_same_table(report):
    assert report._repr_html_() == view_html(report_view(report))
    assert preview(0.45)._repr_html_() == view_html(preview_view(preview(0.45)))
