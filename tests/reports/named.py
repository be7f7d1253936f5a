"""What a renderer takes where one name stands wherever a name can stand, for those that take no record as it is."""

from dataclasses import replace
from unittest.mock import patch

import yaml

import sae_merge_method as sm
from sae_merge_method.artifacts.attribution import AttributedModel, AttributedText
from sae_merge_method.artifacts.conclusions import DampingCurve
from sae_merge_method.artifacts.diagnosis import Diagnosis
from sae_merge_method.artifacts.donor_score import DonorScore
from sae_merge_method.artifacts.edit_report import EditReport
from sae_merge_method.artifacts.experiment_plan import read_plan
from sae_merge_method.artifacts.layer_diagnosis import SaeSource
from sae_merge_method.artifacts.left_out import LeftOut
from sae_merge_method.artifacts.realised import Realised
from sae_merge_method.artifacts.statement import Statement
from sae_merge_method.compare.forest import write_forest
from sae_merge_method.diagnose import page, tables
from sae_merge_method.experiment.prospect import Prospect
from sae_merge_method.experiment.report import tables as experiment_tables
from sae_merge_method.experiment.report.markdown import as_markdown
from sae_merge_method.experiment.report.planned import plan_table
from sae_merge_method.experiment.report.stored import stored_grid
from sae_merge_method.merge.beside_weights import card_text
from sae_merge_method.models.checkpoint import Checkpoint
from sae_merge_method.publish import proved
from sae_merge_method.publish.by_mergekit import mergekit_words
from sae_merge_method.publish.of_experiment import Matched, experiment_section
from sae_merge_method.recipe.findings import CheckedRecipe, Finding, check_view
from sae_merge_method.recipe.located import Located
from sae_merge_method.recipe.merged_folder import MergedFolder
from sae_merge_method.recipe.mergekit_form import recipe_text
from sae_merge_method.recipe.plan import EditPlan
from sae_merge_method.reports.grid import (
    Cell,
    Grid,
)
from sae_merge_method.reports.notebook import View
from sae_merge_method.selection import parse_rule
from tests.reports.records import filled, renamed
from tests.reports.scene import Scene


def stored(scene: Scene, name: str) -> Grid | None:
    experiment = renamed(scene.experiment, name)
    arms = [arm.model_copy(update={"realised": filled(Realised, name)}) for arm in experiment.arms]
    return stored_grid(experiment.model_copy(update={"arms": tuple(arms)}))


def forest(scene: Scene, name: str) -> bytes:
    path = scene.folder / "forest.svg"
    write_forest(path, renamed(scene.comparisons, name))
    return path.read_bytes()


def draw_diagnosis(scene: Scene, name: str) -> bytes:
    page.draw_diagnosis(scene.folder / "drawn", renamed_diagnosis(scene, name), parse_rule("top_k=1"), (0,))
    return (scene.folder / "drawn" / "specificity.png").read_bytes()


def renamed_diagnosis(scene: Scene, name: str) -> Diagnosis:
    """Its score stays one that there is."""
    changed: Diagnosis = renamed(scene.diagnosis, name).model_copy(update={"score": scene.diagnosis.score})
    return changed


def attribution(name: str) -> sm.Attribution:
    text, score, model = filled(AttributedText, name), filled(DonorScore, name), filled(AttributedModel, name)
    shown = {"base": model, "donor": model, "target": text, "controls": (text,), "scores": (score,)}
    shown |= {"saes": {0: filled(SaeSource, name)}, "left_out": (name,)}
    return sm.Attribution.model_construct(**shown)


def checked(scene: Scene, name: str) -> View:
    recipe, models = scene.merged.recipe, {name: (filled(Located, name),)}
    findings = tuple(filled(Finding, name).model_copy(update={"verdict": one}) for one in ("fits", "fault"))
    return check_view(CheckedRecipe(recipe=recipe, models=models, findings=findings, pinned=name))


def report(scene: Scene, name: str) -> EditReport:
    """Its tensors keep their names: their hash is that of the merge."""
    assert scene.merged.report
    changed: EditReport = renamed(scene.merged.report, name)
    return changed.model_copy(update={"tensors": scene.merged.report.tensors})


def merged(scene: Scene, name: str) -> MergedFolder:
    resolved = replace(scene.merged.resolved, text=f"# {name}\n{name}")
    return replace(scene.merged, report=report(scene, name), resolved=resolved)


def by_mergekit(scene: Scene, name: str) -> str:
    """Both sentences: of a recipe that mergekit runs where a diagnosis lies, and of one that it cannot."""
    resolved, words = scene.merged.resolved, []
    for gate in ({"diagnosis": name}, {"layers": f"all{name}", "select": name}):
        parameters = resolved.recipe.parameters.model_copy(update=gate)
        recipe = resolved.recipe.model_copy(update={"parameters": parameters})
        words.append(mergekit_words(replace(scene.merged, resolved=replace(resolved, recipe=recipe))))
    return "\n\n".join(words)


def in_experiment(scene: Scene, name: str) -> str:
    """A model that is an arm of an experiment, beside its report."""
    experiment = renamed(scene.experiment, name)
    report = scene.folder / "report.md"
    report.write_text(as_markdown(experiment), encoding="utf-8")
    return experiment_section(report, Matched(None, experiment, experiment.arms[2:]))


def recipe(scene: Scene, name: str) -> str:
    form = {"merge_method": name, "base_model": name, "slices": [{"sources": [{"model": name}]}]}
    text = recipe_text([name, f"  {name}"], form, {"sae_evidence": {"path": name, "model": name}})
    value = yaml.safe_load(text)
    assert value == {**form, "sae_evidence": {"path": name, "model": name}}
    return text


def card_of_mergekit(scene: Scene, name: str) -> str:
    plan: EditPlan = scene.merged.resolved.plan
    model = f"owner/{name.translate(dict.fromkeys(map(ord, '/+@'), '-'))}"
    donations = {
        layer: tuple(replace(donation, model=model) for donation in donations)
        for layer, donations in plan.donations.items()
    }
    text = card_text(name, replace(plan, base=model, donations=donations), name)
    return text.partition("\n---\n")[2]


def experiment_plan(scene: Scene, name: str) -> str:
    assert scene.experiment
    plan = renamed(read_plan(scene.folder / "experiment"), name)
    return plan_table(Prospect(plan, frozenset(), (), name, documents=4, minutes=None))


def curve(scene: Scene, name: str) -> Grid | None:
    curve = filled(DampingCurve, name)
    return experiment_tables.curve_grid(
        renamed(scene.experiment, name).model_copy(update={"damping_curve": curve})
    )


def statement(scene: Scene, name: str) -> str:
    """Of files that say what ``name`` says: not every name can be written into one."""
    folder = scene.folder / "stated"
    folder.mkdir(exist_ok=True)
    for file in ("out.intoto.json", "out.intoto.json.sig"):
        (folder / file).touch()
    with patch.object(proved, "read_statement", return_value=filled(Statement, name)):
        return proved.statement_section(Checkpoint(folder, {}, "", tensors={}), name)


def surface(scene: Scene, name: str) -> Grid:
    diagnosis = scene.diagnosis
    layers = tuple(
        layer.model_copy(update={"without": {name: 0.5}, "twins": {name: 0.5}}) for layer in diagnosis.layers
    )
    return tables.surface_grid(diagnosis.model_copy(update={"layers": layers}))


def left_out(scene: Scene, name: str) -> Grid:
    diagnosis = renamed_diagnosis(scene, name)
    left_out = filled(LeftOut, name).model_copy(update={"shares": (0.1,) * (1 + len(diagnosis.controls))})
    layer = diagnosis.layers[0].model_copy(update={"left_out": left_out})
    return tables.left_out_grid(diagnosis.model_copy(update={"layers": (layer,)}))


def grid(name: str) -> Grid:
    cells = (Cell(name, name), Cell(name, 1.0, strong=True), Cell(name))
    return Grid(
        (name, "score", f"{name} "), (cells, cells), frozenset({name}), frozenset({1}), frozenset({0}), name
    )


def view(name: str) -> View:
    return View((grid(name),), head=(name, name), tail=(name,))
