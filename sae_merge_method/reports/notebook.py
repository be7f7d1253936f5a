"""Artifacts as a notebook or an interactive session shows them: the tables their commands print.

What is in the tables is the stages' affair. They lie above the artifacts, so they are named here and
imported when something of theirs is shown.
"""

from importlib import import_module
from typing import NamedTuple

from sae_merge_method.escape import html, terminal_line
from sae_merge_method.reports.grid import Grid, as_html, as_text


class View(NamedTuple):
    """What is shown of one artifact."""

    grids: tuple[Grid, ...]
    """Its tables."""
    head: tuple[str, ...] = ()
    """Lines above them."""
    tail: tuple[str, ...] = ()
    """Lines below."""


VIEWS: dict[str, str] = {
    "sae_merge_method.artifacts.attribution:Attribution": "sae_merge_method.attribute.show:attribution_view",
    "sae_merge_method.verify.report:AuditReport": "sae_merge_method.verify.report:audit_view",
    "sae_merge_method.artifacts.experiment:Experiment": (
        "sae_merge_method.experiment.report.tables:experiment_view"
    ),
    "sae_merge_method.recipe.findings:CheckedRecipe": "sae_merge_method.recipe.findings:check_view",
    "sae_merge_method.artifacts.comparison:Comparison": "sae_merge_method.verdict_tables.tables:view",
    "sae_merge_method.artifacts.comparison:ComparisonSet": "sae_merge_method.verdict_tables.tables:view",
    "sae_merge_method.artifacts.diagnosis:Diagnosis": "sae_merge_method.diagnose.tables:diagnosis_view",
    "sae_merge_method.artifacts.sae_training:SaeTraining": "sae_merge_method.train_saes.tables:training_view",
    "sae_merge_method.diagnose.select:Selection": "sae_merge_method.diagnose.select:selection_view",
    "sae_merge_method.artifacts.tune:Tune": "sae_merge_method.tune.tables:tune_view",
    "sae_merge_method.artifacts.energy_report:EnergyReport": "sae_merge_method.energy.show:energy_view",
    "sae_merge_method.artifacts.difference:Difference": "sae_merge_method.diff.show:difference_view",
    "sae_merge_method.artifacts.edit_preview:EditPreview": "sae_merge_method.merge.show:preview_view",
    "sae_merge_method.artifacts.edit_report:EditReport": "sae_merge_method.merge.show:report_view",
    "sae_merge_method.publish.rebuild:Rebuilt": "sae_merge_method.publish.rebuild:rebuilt_view",
}
"""By module and class of the artifact: module and function that turn one into a :class:`View`."""

_STYLE = """<style>
.sae-merge table { font-variant-numeric: tabular-nums; }
.sae-merge th, .sae-merge td { text-align: right; }
.sae-merge th.text, .sae-merge td.text { text-align: left; }
.sae-merge tr.chosen td { background: rgba(200, 85, 61, .15); }
</style>"""  # see-through, for dark pages too


def view_of(artifact: object) -> View | None:
    """What is shown of an artifact; None for one that has no view."""
    kind = type(artifact)
    maker = VIEWS.get(f"{kind.__module__}:{kind.__qualname__}")
    if maker is None:
        return None
    module, _, function = maker.partition(":")
    view: View = getattr(import_module(module), function)(artifact)
    return view


def view_html(view: View) -> str:
    """A view as a piece of a page, with the little style that it needs."""
    parts = [*map(_paragraph, view.head), *map(_table, view.grids), *map(_paragraph, view.tail)]
    return "\n".join(['<div class="sae-merge">', _STYLE, *parts, "</div>"])


def view_text(view: View) -> str:
    """A view as plain text."""
    head, tail = ("\n".join(map(terminal_line, lines)) for lines in (view.head, view.tail))
    blocks = [head, *map(as_text, view.grids), tail]
    return "\n\n".join(block for block in blocks if block)


def _table(grid: Grid) -> str:
    title = f"<p><b>{html(grid.title)}</b></p>\n" if grid.title else ""
    return title + as_html(grid)


def _paragraph(line: str) -> str:
    return f"<p>{html(line)}</p>"
