"""Every function of ours that shows something, and how to have it show one name wherever a name can stand.

A new renderer is a row here: ``test_sinks`` finds the functions that draw through ``reports`` and are in no
table.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import sae_merge_method as sm
from sae_merge_method.artifacts.arm import ArmIdentity
from sae_merge_method.artifacts.attribution_summary import AttributionSummary
from sae_merge_method.artifacts.difference import Difference
from sae_merge_method.artifacts.edit_preview import EditPreview
from sae_merge_method.artifacts.energy_report import Energy, EnergyReport
from sae_merge_method.artifacts.sae_training import SaeTraining
from sae_merge_method.artifacts.strict_yaml import dump_yaml
from sae_merge_method.artifacts.tune import Tune
from sae_merge_method.attribute import feature_tables
from sae_merge_method.attribute import page as attribute_page
from sae_merge_method.attribute import show as attribute
from sae_merge_method.compare import render
from sae_merge_method.controls import show as controls
from sae_merge_method.diagnose import page, plot, score_ranks, select, tables
from sae_merge_method.diff import show as diff
from sae_merge_method.energy import show as energy
from sae_merge_method.experiment.report import html, markdown, scatter
from sae_merge_method.experiment.report import tables as experiment_tables
from sae_merge_method.files.writing import canonical_json
from sae_merge_method.merge import show as merge
from sae_merge_method.publish import limits, measured, sections
from sae_merge_method.publish.licence import Licence
from sae_merge_method.publish.rebuild import Rebuilt, rebuilt_view
from sae_merge_method.reports.grid import as_csv, as_html, as_latex, as_markdown, as_text, plain_grid
from sae_merge_method.reports.html import html_page, marked
from sae_merge_method.reports.markdown import bullets, code, fence, plain, section
from sae_merge_method.reports.notebook import view_html, view_text
from sae_merge_method.selection import parse_rule
from sae_merge_method.train_saes import tables as training
from sae_merge_method.train_saes.card import card
from sae_merge_method.tune import page as tune_page
from sae_merge_method.tune import plot as tune_plot
from sae_merge_method.tune import tables as tune_tables
from sae_merge_method.verdict_tables import attributed
from sae_merge_method.verdict_tables import tables as verdict_tables
from sae_merge_method.verify.report import AuditReport, audit_view
from tests.reports import named
from tests.reports.records import filled, renamed
from tests.reports.scene import Scene


class Renderer(NamedTuple):
    """One way to show something."""

    sink: str
    """Oracle that judges it: text for each of a grid's or a view's own, or the name of a function of ``oracles``."""
    draw: Callable[[Scene, str], Any]
    """What it gives where ``name`` stands for every name."""


def _of(attribute: str, function: Callable[[Any], Any], sink: str) -> Renderer:
    return Renderer(sink, lambda scene, name: function(renamed(getattr(scene, attribute), name)))


def _filled(kind: type[Any], function: Callable[[Any], Any], sink: str) -> Renderer:
    return Renderer(sink, lambda scene, name: function(filled(kind, name)))


_LICENCE = Licence("other")

RENDERERS: Mapping[str, Renderer] = {
    "artifacts.strict_yaml:dump_yaml": Renderer(
        "yaml_file", lambda scene, name: dump_yaml({"name": name, "names": [name]})
    ),
    "compare.flips:render_flips": Renderer("wrapped", lambda scene, name: scene.flips(name)),
    "compare.forest:write_forest": Renderer("picture", named.forest),
    "compare.render:render_table": _of("comparison", render.render_table, "terminal"),
    "compare.render:render_json": _of("comparison", render.render_json, "json_file"),
    "compare.render:render_markdown": _of("comparisons", render.render_markdown, "markdown"),
    "compare.render:render_csv": _of("comparisons", render.render_csv, "csv_file"),
    "compare.render:render_latex": _of("comparisons", render.render_latex, "latex"),
    "verdict_tables.tables:tables": _of("comparisons", verdict_tables.tables, "grids"),
    "verdict_tables.tables:unrounded": _of("comparisons", verdict_tables.unrounded, "grids"),
    "verdict_tables.tables:verdict_table": _of("comparison", verdict_tables.verdict_table, "grids"),
    "verdict_tables.tables:view": _of("comparisons", verdict_tables.view, "view"),
    "controls.show:arms_grid": _filled(ArmIdentity, lambda one: controls.arms_grid([one]), "grids"),
    "diagnose.page:diagnosis_page": Renderer(
        "html",
        lambda scene, name: page.diagnosis_page(
            named.renamed_diagnosis(scene, name), b"", parse_rule("top_k=1"), (0,)
        ),
    ),
    "diagnose.page:draw_diagnosis": Renderer("picture", named.draw_diagnosis),
    "diagnose.plot:plot_specificity": Renderer(
        "picture", lambda scene, name: plot.plot_specificity(renamed(scene.diagnosis, name), name)
    ),
    "attribute.show:attribution_view": Renderer(
        "view", lambda scene, name: attribute.attribution_view(named.attribution(name))
    ),
    "attribute.page:attribution_page": Renderer(
        "html", lambda scene, name: attribute_page.attribution_page(named.attribution(name))
    ),
    "attribute.page:attribution_section": Renderer(
        "html", lambda scene, name: attribute_page.attribution_section(named.attribution(name))
    ),
    "attribute.feature_tables:feature_grids": Renderer(
        "grids", lambda scene, name: feature_tables.feature_grids(named.attribution(name))[0]
    ),
    "attribute.feature_tables:feature_grid": Renderer(
        "grids", lambda scene, name: feature_tables.feature_grid(named.attribution(name).target, 1)
    ),
    "attribute.feature_tables:top_features_grid": Renderer(
        "grids",
        lambda scene, name: feature_tables.top_features_grid(
            named.attribution(name).target.layers[0].by_feature, 1
        ),
    ),
    "attribute.show:layers_grid": Renderer(
        "grids", lambda scene, name: attribute.layers_grid(named.attribution(name).target, name)
    ),
    "attribute.show:scores_grid": Renderer(
        "grids", lambda scene, name: attribute.scores_grid(named.attribution(name))
    ),
    "diagnose.score_ranks:ranks_grid": Renderer(
        "grids", lambda scene, name: score_ranks.ranks_grid([score_ranks.ScoreRank(name, None)], name)
    ),
    "diagnose.select:selections_grid": _filled(
        sm.Selection, lambda one: select.selections_grid([one]), "grids"
    ),
    "diagnose.select:selection_view": _filled(sm.Selection, select.selection_view, "view"),
    "diagnose.tables:corpora_grid": _of("diagnosis", tables.corpora_grid, "grids"),
    "diagnose.tables:diagnosis_view": _of("diagnosis", tables.diagnosis_view, "view"),
    "diagnose.tables:features_grid": Renderer(
        "grids", lambda scene, name: tables.features_grid(renamed(scene.diagnosis.layers[0], name))
    ),
    "diagnose.tables:layers_grid": _of("diagnosis", tables.layers_grid, "grids"),
    "diagnose.tables:left_out_grid": Renderer("grids", named.left_out),
    "diagnose.tables:surface_grid": Renderer("grids", named.surface),
    "diff.show:difference_text": _filled(Difference, diff.difference_text, "terminal"),
    "diff.show:difference_view": _filled(Difference, diff.difference_view, "view"),
    "diff.show:heat_map": Renderer(
        "picture", lambda scene, name: diff.heat_map(filled(Difference, name), name)
    ),
    "energy.show:draw_plot": _filled(EnergyReport, energy.draw_plot, "picture"),
    "energy.show:energy_grid": _filled(EnergyReport, energy.energy_grid, "grids"),
    "energy.show:energy_view": _filled(EnergyReport, energy.energy_view, "view"),
    "experiment.report.html:as_page": _of("experiment", lambda one: html.as_page(one, b""), "html"),
    "experiment.report.markdown:as_markdown": _of("experiment", markdown.as_markdown, "markdown"),
    "experiment.report.scatter:draw_scatter": _of("experiment", scatter.draw_scatter, "picture"),
    "experiment.report.stored:stored_grid": Renderer("grids", named.stored),
    "experiment.report.tables:arm_grid": _of("experiment", experiment_tables.arm_grid, "grids"),
    "experiment.report.tables:as_table": _of("experiment", experiment_tables.as_table, "wrapped"),
    "experiment.report.tables:curve_grid": Renderer("grids", named.curve),
    "experiment.report.tables:experiment_view": _of("experiment", experiment_tables.experiment_view, "view"),
    "experiment.report.tables:layer_grid": _of("experiment", experiment_tables.layer_grid, "grids"),
    "experiment.report.planned:plan_table": Renderer("wrapped", named.experiment_plan),
    "experiment.report.tables:projection_grid": Renderer(
        "grids", lambda scene, name: experiment_tables.projection_grid(filled(Energy, name))
    ),
    "experiment.report.tables:subject_grid": _of("experiment", experiment_tables.subject_grid, "grids"),
    "experiment.report.tables:wrapped": Renderer(
        "wrapped", lambda scene, name: experiment_tables.wrapped(name, "  ")
    ),
    "tune.page:as_markdown": _filled(Tune, tune_page.as_markdown, "markdown"),
    "tune.page:as_page": _filled(Tune, tune_page.as_page, "html"),
    "tune.plot:draw_front": _filled(Tune, tune_plot.draw_front, "picture"),
    "tune.plot:draw_weights": _filled(Tune, tune_plot.draw_weights, "picture"),
    "tune.tables:candidate_grid": _filled(Tune, tune_tables.candidate_grid, "grids"),
    "tune.tables:curve_grid": _filled(Tune, tune_tables.curve_grid, "grids"),
    "tune.tables:finalist_grid": _filled(Tune, tune_tables.finalist_grid, "grids"),
    "tune.tables:rival_grid": _filled(Tune, tune_tables.rival_grid, "grids"),
    "tune.tables:tune_view": _filled(Tune, tune_tables.tune_view, "view"),
    "tune.tables:weight_grid": _filled(Tune, tune_tables.weight_grid, "grids"),
    "files.writing:canonical_json": Renderer(
        "json_file", lambda scene, name: canonical_json({"name": name, "names": [name]})
    ),
    "merge.beside_weights:card_text": Renderer("markdown", named.card_of_mergekit),
    "merge.show:preview_view": _filled(EditPreview, merge.preview_view, "view"),
    "merge.show:report_view": Renderer(
        "view", lambda scene, name: merge.report_view(named.report(scene, name))
    ),
    "publish.limits:limits_section": Renderer(
        "markdown",
        lambda scene, name: limits.limits_section(
            _LICENCE._replace(name=name),
            name,
            has_verdict=False,
            has_layers=True,
            has_controls=False,
            folders=(name,),
            unpinned=(name,),
        ),
    ),
    "publish.by_mergekit:mergekit_words": Renderer("markdown", named.by_mergekit),
    "publish.measured:report_section": Renderer("markdown", named.in_experiment),
    "publish.measured:unmatched_words": Renderer("markdown", lambda _, name: measured.unmatched_words(name)),
    "publish.measured:verdict_section": Renderer(
        "markdown", lambda scene, name: measured.verdict_section(renamed(scene.comparison, name), name)
    ),
    "publish.proved:statement_section": Renderer("markdown", named.statement),
    "publish.rebuild:rebuilt_view": _filled(Rebuilt, rebuilt_view, "view"),
    "publish.sections:attribution_section": _filled(
        AttributionSummary, lambda one: sections.attribution_section(one, (0,)), "markdown"
    ),
    "verdict_tables.attributed:carried_grid": _filled(
        AttributionSummary, lambda one: attributed.carried_grid(one, (0,)), "grids"
    ),
    "publish.sections:edit_section": Renderer(
        "markdown", lambda scene, name: sections.edit_section(named.merged(scene, name))
    ),
    "publish.sections:layers_section": Renderer(
        "markdown",
        lambda scene, name: sections.layers_section(
            renamed(scene.diagnosis, name), (0,), name, with_plot=True
        ),
    ),
    "publish.sections:rebuild_section": Renderer(
        "markdown",
        lambda scene, name: sections.rebuild_section(named.merged(scene, name), name, name, (name,)),
    ),
    "publish.sections:recipe_section": Renderer(
        "markdown", lambda scene, name: sections.recipe_section(named.merged(scene, name))
    ),
    "recipe.findings:check_view": Renderer("view", named.checked),
    "recipe.mergekit_form:recipe_text": Renderer("yaml_file", named.recipe),
    "reports.grid:as_csv": Renderer("csv_file", lambda scene, name: as_csv(named.grid(name))),
    "reports.grid:as_html": Renderer("html", lambda scene, name: as_html(named.grid(name))),
    "reports.grid:as_latex": Renderer("latex", lambda scene, name: as_latex(named.grid(name))),
    "reports.grid:as_markdown": Renderer("markdown", lambda scene, name: as_markdown(named.grid(name))),
    "reports.grid:as_text": Renderer("terminal", lambda scene, name: as_text(named.grid(name))),
    "reports.grid:plain_grid": Renderer("grids", lambda scene, name: plain_grid((name,), [(name,)])),
    "reports.html:html_page": Renderer("html", lambda scene, name: html_page(name, "")),
    "reports.html:marked": Renderer("html", lambda scene, name: marked(f"before «{name}» after")),
    "reports.markdown:bullets": Renderer("markdown", lambda scene, name: bullets([plain(name)])),
    "reports.markdown:code": Renderer("markdown", lambda scene, name: code(name)),
    "reports.markdown:fence": Renderer("markdown", lambda scene, name: fence(name, "yaml")),
    "reports.markdown:plain": Renderer("markdown", lambda scene, name: plain(name)),
    "reports.markdown:section": Renderer("markdown", lambda scene, name: section("A title", plain(name))),
    "reports.notebook:view_html": Renderer("html", lambda scene, name: view_html(named.view(name))),
    "reports.notebook:view_text": Renderer("terminal", lambda scene, name: view_text(named.view(name))),
    "train_saes.card:card": Renderer(
        "markdown", lambda scene, name: card(filled(SaeTraining, name)).partition("\n---\n")[2]
    ),
    "train_saes.tables:saes_grid": _filled(SaeTraining, training.saes_grid, "grids"),
    "train_saes.tables:texts_grid": _filled(SaeTraining, training.texts_grid, "grids"),
    "train_saes.tables:training_view": _filled(SaeTraining, training.training_view, "view"),
    "verify.report:audit_view": _filled(AuditReport, audit_view, "view"),
}
"""By module and function."""
