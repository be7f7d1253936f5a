"""Interpretability-guided model editing for mergekit and lm-evaluation-harness.

``import sae_merge_method as sm`` offers the functions that the commands call, the settings they take and
the artifacts they return: ``dir(sm)`` lists them. Each is
loaded when it is first asked for. Importing this package registers nothing and loads no other module; see
:mod:`sae_merge_method.hosts.register` for the explicit seam with mergekit and lm-eval.
"""

import sys

__version__ = "0.2.0"

TYPE_CHECKING = False  # what typing.TYPE_CHECKING is at run time, without the import
if TYPE_CHECKING:
    from types import ModuleType

    from sae_merge_method.artifacts.attribution import Attribution as Attribution
    from sae_merge_method.artifacts.attribution import read_attribution as read_attribution
    from sae_merge_method.artifacts.comparison import Comparison as Comparison
    from sae_merge_method.artifacts.comparison import ComparisonSet as ComparisonSet
    from sae_merge_method.artifacts.comparison import read_comparison as read_comparison
    from sae_merge_method.artifacts.diagnosis import Diagnosis as Diagnosis
    from sae_merge_method.artifacts.diagnosis import read_diagnosis as read_diagnosis
    from sae_merge_method.artifacts.difference import Difference as Difference
    from sae_merge_method.artifacts.edit_preview import EditPreview as EditPreview
    from sae_merge_method.artifacts.edit_report import EditReport as EditReport
    from sae_merge_method.artifacts.edit_report import read_edit_report as read_edit_report
    from sae_merge_method.artifacts.energy_report import EnergyReport as EnergyReport
    from sae_merge_method.artifacts.experiment import Experiment as Experiment
    from sae_merge_method.artifacts.experiment import read_experiment as read_experiment
    from sae_merge_method.artifacts.sae_training import SaeTraining as SaeTraining
    from sae_merge_method.artifacts.sae_training import read_training as read_training
    from sae_merge_method.artifacts.tune import Tune as Tune
    from sae_merge_method.artifacts.tune import read_tune as read_tune
    from sae_merge_method.attribute.run import attribute as attribute
    from sae_merge_method.attribute.settings import AttributeSettings as AttributeSettings
    from sae_merge_method.compare.run import compare as compare
    from sae_merge_method.compare.settings import CompareSettings as CompareSettings
    from sae_merge_method.controls.settings import ControlSettings as ControlSettings
    from sae_merge_method.controls.write import write_controls as write_controls
    from sae_merge_method.diagnose.rescore import score as score
    from sae_merge_method.diagnose.run import diagnose as diagnose
    from sae_merge_method.diagnose.select import Selection as Selection
    from sae_merge_method.diagnose.select import select_layers as select_layers
    from sae_merge_method.diagnose.settings import DiagnoseSettings as DiagnoseSettings
    from sae_merge_method.diagnose.settings import ScoringSettings as ScoringSettings
    from sae_merge_method.diff.run import diff as diff
    from sae_merge_method.energy.run import energy as energy
    from sae_merge_method.energy.settings import EnergySettings as EnergySettings
    from sae_merge_method.errors import SaeMergeError as SaeMergeError
    from sae_merge_method.evaluation.settings import EvaluationSettings as EvaluationSettings
    from sae_merge_method.experiment.run import plan_experiment as plan_experiment
    from sae_merge_method.experiment.run import run_experiment as run_experiment
    from sae_merge_method.experiment.settings import ExperimentSettings as ExperimentSettings
    from sae_merge_method.experiment.settings import GeneralLossSettings as GeneralLossSettings
    from sae_merge_method.experiment.settings import RunSettings as RunSettings
    from sae_merge_method.layers import LayerModule as LayerModule
    from sae_merge_method.merge.in_place import edit_in_place as edit_in_place
    from sae_merge_method.merge.preview import preview as preview
    from sae_merge_method.merge.run import merge as merge
    from sae_merge_method.merge.settings import MergeSettings as MergeSettings
    from sae_merge_method.merge.undo import undo as undo
    from sae_merge_method.miniature.demo import make_miniature as make_miniature
    from sae_merge_method.miniature.settings import MiniatureSettings as MiniatureSettings
    from sae_merge_method.publish.card import write_card as write_card
    from sae_merge_method.publish.rebuild import Rebuilt as Rebuilt
    from sae_merge_method.publish.rebuild import rebuild as rebuild
    from sae_merge_method.publish.settings import CardSettings as CardSettings
    from sae_merge_method.recipe.check import check_recipe as check_recipe
    from sae_merge_method.recipe.findings import CheckedRecipe as CheckedRecipe
    from sae_merge_method.recipe.from_diagnosis import RecipeSettings as RecipeSettings
    from sae_merge_method.recipe.from_diagnosis import WrittenRecipe as WrittenRecipe
    from sae_merge_method.recipe.from_diagnosis import write_recipe as write_recipe
    from sae_merge_method.train_saes.run import train_saes as train_saes
    from sae_merge_method.train_saes.settings import TrainSaesSettings as TrainSaesSettings
    from sae_merge_method.tune.run import tune as tune
    from sae_merge_method.tune.settings import TuneSettings as TuneSettings
    from sae_merge_method.verify.audit import verify as verify
    from sae_merge_method.verify.report import AuditReport as AuditReport
else:
    ModuleType = type(sys)

# By module, what is offered of it: the imports above, said once more for the interpreter.
_OFFERED = {
    "artifacts.attribution": ("Attribution", "read_attribution"),
    "artifacts.comparison": ("Comparison", "ComparisonSet", "read_comparison"),
    "artifacts.diagnosis": ("Diagnosis", "read_diagnosis"),
    "artifacts.difference": ("Difference",),
    "artifacts.edit_preview": ("EditPreview",),
    "artifacts.edit_report": ("EditReport", "read_edit_report"),
    "artifacts.energy_report": ("EnergyReport",),
    "artifacts.tune": ("Tune", "read_tune"),
    "artifacts.experiment": ("Experiment", "read_experiment"),
    "attribute.run": ("attribute",),
    "attribute.settings": ("AttributeSettings",),
    "artifacts.sae_training": ("SaeTraining", "read_training"),
    "compare.run": ("compare",),
    "compare.settings": ("CompareSettings",),
    "controls.settings": ("ControlSettings",),
    "controls.write": ("write_controls",),
    "diagnose.rescore": ("score",),
    "diagnose.run": ("diagnose",),
    "diagnose.select": ("Selection", "select_layers"),
    "diagnose.settings": ("DiagnoseSettings", "ScoringSettings"),
    "diff.run": ("diff",),
    "energy.run": ("energy",),
    "energy.settings": ("EnergySettings",),
    "errors": ("SaeMergeError",),
    "experiment.run": ("plan_experiment", "run_experiment"),
    "evaluation.settings": ("EvaluationSettings",),
    "experiment.settings": ("ExperimentSettings", "GeneralLossSettings", "RunSettings"),
    "layers": ("LayerModule",),
    "merge.in_place": ("edit_in_place",),
    "merge.preview": ("preview",),
    "merge.run": ("merge",),
    "merge.settings": ("MergeSettings",),
    "merge.undo": ("undo",),
    "miniature.demo": ("make_miniature",),
    "miniature.settings": ("MiniatureSettings",),
    "publish.card": ("write_card",),
    "publish.rebuild": ("Rebuilt", "rebuild"),
    "publish.settings": ("CardSettings",),
    "recipe.check": ("check_recipe",),
    "recipe.findings": ("CheckedRecipe",),
    "recipe.from_diagnosis": ("RecipeSettings", "WrittenRecipe", "write_recipe"),
    "train_saes.run": ("train_saes",),
    "train_saes.settings": ("TrainSaesSettings",),
    "tune.run": ("tune",),
    "tune.settings": ("TuneSettings",),
    "verify.audit": ("verify",),
    "verify.report": ("AuditReport",),
}
_HOMES = {name: home for home, names in _OFFERED.items() for name in names}


def _offered(name: str) -> object:
    """One of the names above, its module imported if it was not."""
    if name == "__all__":
        return sorted(_HOMES)
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


if not TYPE_CHECKING:  # to a type checker it would mean that there is every name
    __getattr__ = _offered


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})


class _Package(ModuleType):
    """This module: its ``diagnose`` is the function, though a sub-package is called so, too."""

    def __setattr__(self, name: str, value: object) -> None:
        # The import system binds a sub-package to its parent when it is first imported.
        if not (name in _HOMES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)

    def __reduce__(self) -> tuple[object, ...]:
        return __import__, (__name__,)


sys.modules[__name__].__class__ = _Package
