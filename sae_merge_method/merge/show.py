"""Edits as their commands and a notebook show them: a row a layer, and one line that sums up."""

from collections.abc import Sequence

from sae_merge_method.artifacts.edit_preview import EditPreview, LayerPreview
from sae_merge_method.artifacts.edit_report import EditReport
from sae_merge_method.layers import format_layers
from sae_merge_method.reports import numbers
from sae_merge_method.reports.grid import NOTHING, Cell, Grid
from sae_merge_method.reports.notebook import View


def preview_view(preview: EditPreview) -> View:
    """What a merge would change, layer by layer."""
    lines = [f"dry run: nothing was written; {preview.kept} other tensors would stay the base's"]
    reason = preview.only_mergekit
    if reason is not None:
        lines.append(f"this recipe runs through mergekit ({reason}): its energy is known only afterwards")
    return View((_grid(preview.layers),), tail=tuple(lines))


def report_view(report: EditReport) -> View:
    """What a merge changed, layer by layer."""
    layers = []
    for layer in report.layers:
        tensors = [tensor for tensor in report.edited() if tensor.layer == layer]
        layers.append(
            LayerPreview(
                layer=layer,
                tensors=len(tensors),
                nbytes=sum(tensor.nbytes for tensor in tensors),
                energy=sum(tensor.energy for tensor in tensors),
            )
        )
    return View((_grid(layers),), tail=(summary(report),))


def summary(report: EditReport, seconds: float | None = None) -> str:
    """One line: what was edited, by how much, how long it took, and the hash of the result."""
    rest = "all others are the base's, byte for byte"
    if report.result_sha256 is not None:
        rest += f"; result {report.result_sha256[:16]}"
    else:
        rest += ", and were not read: --hash-all hashes them too"
    time = "" if seconds is None else f", {seconds:.1f} s"
    return (
        f"layers {format_layers(report.layers)}: {len(report.edited())} of {len(report.tensors)} tensors "
        f"edited, {numbers.count(report.edited_bytes)} bytes, energy {numbers.energy(report.energy)}{time}; "
        f"{rest}"
    )


def _grid(layers: Sequence[LayerPreview]) -> Grid:
    known = [one.energy for one in layers if one.energy is not None]
    rows = [_row(str(one.layer), one.tensors, one.nbytes, one.energy) for one in layers]
    rows.append(
        _row(
            "all",
            sum(one.tensors for one in layers),
            sum(one.nbytes for one in layers),
            sum(known) if len(known) == len(layers) else None,
        )
    )
    return Grid(("layer", "tensors", "bytes", "energy"), tuple(rows))


def _row(layer: str, tensors: int, nbytes: int, energy: float | None) -> tuple[Cell, ...]:
    return (
        Cell(layer),
        Cell(numbers.count(tensors), tensors),
        Cell(numbers.count(nbytes), nbytes),
        Cell(NOTHING if energy is None else numbers.energy(energy), energy),
    )
