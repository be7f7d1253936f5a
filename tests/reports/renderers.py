"""Every function of ours that shows something, and how to have it show one name wherever a name can stand.

A new renderer is a row here: ``test_sinks`` finds the functions that draw through ``reports`` and are in no
table.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple
from unittest.mock import patch

import yaml

import sae_merge_method as sm
from sae_merge_method.artifacts.arm import ArmIdentity
from sae_merge_method.artifacts.attribution import AttributedText, DonorScore
from sae_merge_method.artifacts.conclusions import DampingCurve
from sae_merge_method.artifacts.diagnosis import Diagnosis
from sae_merge_method.artifacts.difference import Difference
from sae_merge_method.artifacts.edit_preview import EditPreview
from sae_merge_method.artifacts.edit_report import EditReport
from sae_merge_method.artifacts.energy_report import Energy, EnergyReport
from sae_merge_method.artifacts.experiment_plan import read_plan
from sae_merge_method.artifacts.left_out import LeftOut
from sae_merge_method.artifacts.realised import Realised
from sae_merge_method.artifacts.sae_training import SaeTraining
from sae_merge_method.artifacts.statement import Statement
from sae_merge_method.artifacts.strict_yaml import dump_yaml
from sae_merge_method.artifacts.tune import Tune
from sae_merge_method.attribute import show as attribute
from sae_merge_method.compare import forest, render
from sae_merge_method.controls import show as controls
from sae_merge_method.diagnose import page, plot, select, tables
from sae_merge_method.diff import show as diff
from sae_merge_method.energy import show as energy
from sae_merge_method.experiment.prospect import Prospect
from sae_merge_method.experiment.report import html, markdown, scatter
from sae_merge_method.experiment.report import tables as experiment_tables
from sae_merge_method.experiment.report.planned import plan_table
from sae_merge_method.experiment.report.stored import stored_grid
from sae_merge_method.files.writing import canonical_json
from sae_merge_method.merge import show as merge
from sae_merge_method.merge.beside_weights import card_text
from sae_merge_method.publish import measured, sections
from sae_merge_method.publish.licence import Licence
from sae_merge_method.publish.rebuild import Rebuilt, rebuilt_view
from sae_merge_method.recipe.findings import CheckedRecipe, Finding, check_view
from sae_merge_method.recipe.located import Located
from sae_merge_method.recipe.merged_folder import MergedFolder
from sae_merge_method.recipe.mergekit_form import recipe_text
from sae_merge_method.recipe.plan import EditPlan
from sae_merge_method.reports.grid import (
    Cell,
    Grid,
    as_csv,
    as_html,
    as_latex,
    as_markdown,
    as_text,
    plain_grid,
)
from sae_merge_method.reports.html import html_page
from sae_merge_method.reports.markdown import bullets, code, fence, plain, section
from sae_merge_method.reports.notebook import View, view_html, view_text
from sae_merge_method.selection import parse_rule
from sae_merge_method.train_saes import tables as training
from sae_merge_method.train_saes.card import card
from sae_merge_method.tune import page as tune_page
from sae_merge_method.tune import plot as tune_plot
from sae_merge_method.tune import tables as tune_tables
from sae_merge_method.verdict_tables import tables as verdict_tables
from sae_merge_method.verify.report import AuditReport, audit_view
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


def _stored(scene: Scene, name: str) -> Grid | None:
    experiment = renamed(scene.experiment, name)
    arms = [arm.model_copy(update={"realised": filled(Realised, name)}) for arm in experiment.arms]
    return stored_grid(experiment.model_copy(update={"arms": tuple(arms)}))


def _forest(scene: Scene, name: str) -> bytes:
    path = scene.folder / "forest.svg"
    forest.write_forest(path, renamed(scene.comparisons, name))
    return path.read_bytes()


def _draw_diagnosis(scene: Scene, name: str) -> bytes:
    page.draw_diagnosis(scene.folder / "drawn", renamed_diagnosis(scene, name), parse_rule("top_k=1"), (0,))
    return (scene.folder / "drawn" / "specificity.png").read_bytes()


def renamed_diagnosis(scene: Scene, name: str) -> Diagnosis:
    """Its score stays one that there is."""
    changed: Diagnosis = renamed(scene.diagnosis, name).model_copy(update={"score": scene.diagnosis.score})
    return changed


def _attribution(name: str) -> sm.Attribution:
    text, score = filled(AttributedText, name), filled(DonorScore, name)
    shown = {"target": text, "controls": (text,), "scores": (score,), "left_out": (name,)}
    return sm.Attribution.model_construct(**shown)


def _checked(scene: Scene, name: str) -> View:
    recipe, models = scene.merged.recipe, {name: (filled(Located, name),)}
    findings = tuple(filled(Finding, name).model_copy(update={"verdict": one}) for one in ("fits", "fault"))
    return check_view(CheckedRecipe(recipe=recipe, models=models, findings=findings, pinned=name))


def _report(scene: Scene, name: str) -> EditReport:
    """Its tensors keep their names: their hash is that of the merge."""
    assert scene.merged.report
    changed: EditReport = renamed(scene.merged.report, name)
    return changed.model_copy(update={"tensors": scene.merged.report.tensors})


def _merged(scene: Scene, name: str) -> MergedFolder:
    resolved = replace(scene.merged.resolved, text=f"# {name}\n{name}")
    return replace(scene.merged, report=_report(scene, name), resolved=resolved)


def _recipe(scene: Scene, name: str) -> str:
    form = {"merge_method": name, "base_model": name, "slices": [{"sources": [{"model": name}]}]}
    text = recipe_text([name, f"  {name}"], form, {"sae_diagnosis": {"path": name, "model": name}})
    value = yaml.safe_load(text)
    assert value == {**form, "sae_diagnosis": {"path": name, "model": name}}
    return text


def _card_of_mergekit(scene: Scene, name: str) -> str:
    plan: EditPlan = scene.merged.resolved.plan
    model = f"owner/{name.translate(dict.fromkeys(map(ord, '/+@'), '-'))}"
    donations = {
        layer: tuple(replace(donation, model=model) for donation in donations)
        for layer, donations in plan.donations.items()
    }
    text = card_text(name, replace(plan, base=model, donations=donations), name)
    return text.partition("\n---\n")[2]


def _experiment_plan(scene: Scene, name: str) -> str:
    assert scene.experiment
    plan = renamed(read_plan(scene.folder / "experiment"), name)
    return plan_table(Prospect(plan, frozenset(), (), name, documents=4, minutes=None))


def _curve(scene: Scene, name: str) -> Grid | None:
    curve = filled(DampingCurve, name)
    return experiment_tables.curve_grid(
        renamed(scene.experiment, name).model_copy(update={"damping_curve": curve})
    )


def _statement(scene: Scene, name: str) -> str:
    """Of files that say what ``name`` says: not every name can be written into one."""
    folder = scene.folder / "stated"
    folder.mkdir(exist_ok=True)
    for file in ("out.intoto.json", "out.intoto.json.sig"):
        (folder / file).touch()
    with patch.object(measured, "read_statement", return_value=filled(Statement, name)):
        return measured.statement_section(folder, name)


def _surface(scene: Scene, name: str) -> Grid:
    diagnosis = scene.diagnosis
    layers = tuple(
        layer.model_copy(update={"without": {name: 0.5}, "twins": {name: 0.5}}) for layer in diagnosis.layers
    )
    return tables.surface_grid(diagnosis.model_copy(update={"layers": layers}))


def _left_out(scene: Scene, name: str) -> Grid:
    diagnosis = renamed_diagnosis(scene, name)
    left_out = filled(LeftOut, name).model_copy(update={"shares": (0.1,) * (1 + len(diagnosis.controls))})
    layer = diagnosis.layers[0].model_copy(update={"left_out": left_out})
    return tables.left_out_grid(diagnosis.model_copy(update={"layers": (layer,)}))


def _grid(name: str) -> Grid:
    cells = (Cell(name, name), Cell(name, 1.0, strong=True), Cell(name))
    return Grid(
        (name, "score", f"{name} "), (cells, cells), frozenset({name}), frozenset({1}), frozenset({0}), name
    )


def _view(name: str) -> View:
    return View((_grid(name),), head=(name, name), tail=(name,))


_LICENCE = Licence("other", inherited=False)

RENDERERS: Mapping[str, Renderer] = {
    "artifacts.strict_yaml:dump_yaml": Renderer(
        "yaml_file", lambda scene, name: dump_yaml({"name": name, "names": [name]})
    ),
    "compare.flips:render_flips": Renderer("wrapped", lambda scene, name: scene.flips(name)),
    "compare.forest:write_forest": Renderer("picture", _forest),
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
            renamed_diagnosis(scene, name), b"", parse_rule("top_k=1"), (0,)
        ),
    ),
    "diagnose.page:draw_diagnosis": Renderer("picture", _draw_diagnosis),
    "diagnose.plot:plot_specificity": Renderer(
        "picture", lambda scene, name: plot.plot_specificity(renamed(scene.diagnosis, name), name)
    ),
    "attribute.show:attribution_view": Renderer(
        "view", lambda scene, name: attribute.attribution_view(_attribution(name))
    ),
    "attribute.show:layers_grid": Renderer(
        "grids", lambda scene, name: attribute.layers_grid(_attribution(name).target, name)
    ),
    "attribute.show:scores_grid": Renderer(
        "grids", lambda scene, name: attribute.scores_grid(_attribution(name))
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
    "diagnose.tables:left_out_grid": Renderer("grids", _left_out),
    "diagnose.tables:surface_grid": Renderer("grids", _surface),
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
    "experiment.report.stored:stored_grid": Renderer("grids", _stored),
    "experiment.report.tables:arm_grid": _of("experiment", experiment_tables.arm_grid, "grids"),
    "experiment.report.tables:as_table": _of("experiment", experiment_tables.as_table, "wrapped"),
    "experiment.report.tables:curve_grid": Renderer("grids", _curve),
    "experiment.report.tables:experiment_view": _of("experiment", experiment_tables.experiment_view, "view"),
    "experiment.report.tables:layer_grid": _of("experiment", experiment_tables.layer_grid, "grids"),
    "experiment.report.planned:plan_table": Renderer("wrapped", _experiment_plan),
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
    "tune.tables:finalist_grid": _filled(Tune, tune_tables.finalist_grid, "grids"),
    "tune.tables:rival_grid": _filled(Tune, tune_tables.rival_grid, "grids"),
    "tune.tables:tune_view": _filled(Tune, tune_tables.tune_view, "view"),
    "tune.tables:weight_grid": _filled(Tune, tune_tables.weight_grid, "grids"),
    "files.writing:canonical_json": Renderer(
        "json_file", lambda scene, name: canonical_json({"name": name, "names": [name]})
    ),
    "merge.beside_weights:card_text": Renderer("markdown", _card_of_mergekit),
    "merge.show:preview_view": _filled(EditPreview, merge.preview_view, "view"),
    "merge.show:report_view": Renderer("view", lambda scene, name: merge.report_view(_report(scene, name))),
    "publish.measured:statement_section": Renderer("markdown", _statement),
    "publish.measured:verdict_section": Renderer(
        "markdown", lambda scene, name: measured.verdict_section(renamed(scene.comparison, name), name)
    ),
    "publish.rebuild:rebuilt_view": _filled(Rebuilt, rebuilt_view, "view"),
    "publish.sections:edit_section": Renderer(
        "markdown", lambda scene, name: sections.edit_section(_merged(scene, name))
    ),
    "publish.sections:layers_section": Renderer(
        "markdown",
        lambda scene, name: sections.layers_section(
            renamed(scene.diagnosis, name), (0,), name, with_plot=True
        ),
    ),
    "publish.sections:limits_section": Renderer(
        "markdown",
        lambda scene, name: sections.limits_section(
            _LICENCE._replace(name=name),
            name,
            has_verdict=False,
            has_layers=True,
            has_controls=False,
            folders=(name,),
            unpinned=(name,),
        ),
    ),
    "publish.sections:rebuild_section": Renderer(
        "markdown", lambda scene, name: sections.rebuild_section(_merged(scene, name), name, name, (name,))
    ),
    "publish.sections:recipe_section": Renderer(
        "markdown", lambda scene, name: sections.recipe_section(_merged(scene, name))
    ),
    "recipe.findings:check_view": Renderer("view", _checked),
    "recipe.mergekit_form:recipe_text": Renderer("yaml_file", _recipe),
    "reports.grid:as_csv": Renderer("csv_file", lambda scene, name: as_csv(_grid(name))),
    "reports.grid:as_html": Renderer("html", lambda scene, name: as_html(_grid(name))),
    "reports.grid:as_latex": Renderer("latex", lambda scene, name: as_latex(_grid(name))),
    "reports.grid:as_markdown": Renderer("markdown", lambda scene, name: as_markdown(_grid(name))),
    "reports.grid:as_text": Renderer("terminal", lambda scene, name: as_text(_grid(name))),
    "reports.grid:plain_grid": Renderer("grids", lambda scene, name: plain_grid((name,), [(name,)])),
    "reports.html:html_page": Renderer("html", lambda scene, name: html_page(name, "")),
    "reports.markdown:bullets": Renderer("markdown", lambda scene, name: bullets([plain(name)])),
    "reports.markdown:code": Renderer("markdown", lambda scene, name: code(name)),
    "reports.markdown:fence": Renderer("markdown", lambda scene, name: fence(name, "yaml")),
    "reports.markdown:plain": Renderer("markdown", lambda scene, name: plain(name)),
    "reports.markdown:section": Renderer("markdown", lambda scene, name: section("A title", plain(name))),
    "reports.notebook:view_html": Renderer("html", lambda scene, name: view_html(_view(name))),
    "reports.notebook:view_text": Renderer("terminal", lambda scene, name: view_text(_view(name))),
    "train_saes.card:card": Renderer(
        "markdown", lambda scene, name: card(filled(SaeTraining, name)).partition("\n---\n")[2]
    ),
    "train_saes.tables:saes_grid": _filled(SaeTraining, training.saes_grid, "grids"),
    "train_saes.tables:texts_grid": _filled(SaeTraining, training.texts_grid, "grids"),
    "train_saes.tables:training_view": _filled(SaeTraining, training.training_view, "view"),
    "verify.report:audit_view": _filled(AuditReport, audit_view, "view"),
}
"""By module and function."""
