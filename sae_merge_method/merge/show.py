"""Edits as their commands and a notebook show them: a row a layer, and one line that sums up."""

import textwrap
from collections.abc import Sequence

from sae_merge_method.artifacts.edit_preview import EditPreview
from sae_merge_method.artifacts.edit_report import EditReport
from sae_merge_method.artifacts.realised import LayerEdit, Realised, swallowed_note
from sae_merge_method.layers import named_units
from sae_merge_method.recipe.precision import told_by
from sae_merge_method.reports import numbers
from sae_merge_method.reports.grid import Cell, Grid
from sae_merge_method.reports.notebook import View
from sae_merge_method.verdict_tables.realised import how_to_read_realised, realised_cells, realised_header


def preview_view(preview: EditPreview) -> View:
    """What a merge would change, layer by layer."""
    lines = [f"dry run: nothing was written; {preview.kept} other tensors would stay the base's"]
    if preview.only_mergekit is not None:
        lines.append(f"this recipe runs through mergekit: {preview.only_mergekit}")
    return View((_grid(preview.layers, preview),), tail=(*lines, *_notes(preview, preview.rounding)))


def report_view(report: EditReport) -> View:
    """What a merge changed, layer by layer."""
    tail = (summary(report), *_notes(report, report.rounding))
    return View((_grid(report.by_layer, report),), tail=tail)


def _notes(edit: Realised, kind: str) -> list[str]:
    """What the columns mean, and a warning where rounding swallows the edit."""
    notes = textwrap.wrap(how_to_read_realised([kind], _STORED), 100)
    warning = swallowed_note(edit, kind)
    return notes if warning is None else [*notes, f"warning: {warning}"]


def summary(report: EditReport, seconds: float | None = None) -> str:
    """One line: what was edited, by how much, how long it took, and the hash of the result."""
    rest = f"all others are {told_by(report).kept}"
    if report.result_sha256 is not None:
        rest += f"; result {report.result_sha256[:16]}"
    else:
        rest += ", and were not read: --hash-all hashes them too"
    time = "" if seconds is None else f", {seconds:.1f} s"
    return (
        f"{named_units(report.layers)}: {len(report.edited())} of {len(report.tensors)} tensors "
        f"edited, {numbers.count(report.edited_bytes)} bytes, energy {numbers.energy(report.energy)}"
        f"{_kept(report)}{time}; {rest}"
    )


def _kept(edit: Realised) -> str:
    """How much of an edit is stored, in parentheses; nothing where there is no edit."""
    if edit.share is None:
        return ""
    cosine = "" if edit.cosine is None else f", cosine {edit.cosine:.2f}"
    return f" ({edit.share:.0%} of what was to be added{cosine}, {edit.changed:.0%} of the values changed)"


_STORED = "energy"
_HEADER = ("layer", "tensors", "bytes", *realised_header(_STORED))


def _grid(layers: Sequence[LayerEdit], whole: Realised) -> Grid:
    rows = [_row(str(one.layer), one.tensors, one.nbytes, one) for one in layers]
    rows.append(_row("all", sum(one.tensors for one in layers), sum(one.nbytes for one in layers), whole))
    return Grid(_HEADER, tuple(rows))


def _row(layer: str, tensors: int, nbytes: int, edit: Realised) -> tuple[Cell, ...]:
    return (
        Cell(layer),
        Cell(numbers.count(tensors), tensors),
        Cell(numbers.count(nbytes), nbytes),
        *realised_cells(edit),
    )
