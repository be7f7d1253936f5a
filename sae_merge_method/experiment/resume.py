"""What an earlier run of an experiment left, and whether it still stands."""

import json
import logging
from collections.abc import Iterable, Mapping
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from sae_merge_method.artifacts.diagnosis import DIAGNOSIS_FILE, diagnosis_path
from sae_merge_method.artifacts.experiment_plan import ARM_FILE, ARMS_FOLDER, PLAN_FILE, read_arm
from sae_merge_method.errors import ArtifactError, UsageError
from sae_merge_method.evaluation.tasks import find_tasks
from sae_merge_method.experiment.plan import Planned, make_plan, read_planned
from sae_merge_method.experiment.settings import ExperimentSettings
from sae_merge_method.experiment.worker import ArmJob, GeneralCorpus
from sae_merge_method.files.hashing import file_sha256
from sae_merge_method.files.writing import write_text
from sae_merge_method.lm_eval_tasks import tasks_path
from sae_merge_method.models.checkpoint import CONFIG_FILE
from sae_merge_method.models.hub import local_folder, parse_model_id

# Whose releases can change a number.
_PACKAGES = ("lm-eval", "math-verify", "sympy", "torch", "transformers", "vllm")


def model_stamp(model: str) -> str:
    """Tells a model's weights from others without reading them.

    Over its config and, for every weight file, its name, size and time of change; of the Hub's cache,
    the name of the blob, which is the hash of its bytes.

    Raises:
        ModelError: There is no such model.
    """
    folder = local_folder(parse_model_id(model))
    digest = sha256(file_sha256(folder / CONFIG_FILE).encode())
    for file in sorted(folder.glob("*.safetensors")):
        target = file.resolve()
        state = target.stat()
        what = target.name if file.is_symlink() else str(state.st_mtime_ns)
        digest.update(f"{file.name} {state.st_size} {what}\n".encode())
    return digest.hexdigest()


def value_stamp(value: Any) -> str:
    """sha256 of a value that JSON can hold."""
    return sha256(json.dumps(value, sort_keys=True, allow_nan=False).encode()).hexdigest()


def folder_stamp(folder: Path) -> str:
    """sha256 over a folder's file names and bytes."""
    files = sorted(file for file in folder.rglob("*") if file.is_file() and "__pycache__" not in file.parts)
    return value_stamp([[str(file.relative_to(folder)), file_sha256(file)] for file in files])


def package_versions() -> str:
    """Versions of the packages that evaluate, in a line."""
    return ", ".join(f"{name} {installed}" for name in _PACKAGES if (installed := _version(name)))


def changed(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Names of the parts that differ."""
    return [name for name in {**before, **now} if before.get(name) != now.get(name)]


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


LOG = logging.getLogger(__name__)

DIAGNOSIS_FOLDER = "diagnosis"
_DIAGNOSED = ".diagnosed"
"""What the diagnosis in the folder is made from, or being made from."""


def standing_plan(settings: ExperimentSettings, folder: Path, overwrite: bool) -> Planned:
    """The plan that stands in ``folder``, if it is made from the same things; else a new one.

    Raises:
        UsageError: A diagnosis made there before is of other settings, and ``overwrite`` is off.
        SaeMergeError: Models, diagnosis, rule and recipes do not fit together.
    """
    diagnosis_at = _diagnosis(settings, folder, overwrite)
    depends_on = {
        "settings": value_stamp(settings.model_dump(mode="json", exclude={"evaluation", "general_loss"})),
        "evaluation": value_stamp(settings.evaluation.model_dump(mode="json")),
        "margin": value_stamp(settings.general_loss.margin if settings.general_loss else None),
        "diagnosis": file_sha256(diagnosis_path(diagnosis_at)),
        "base": model_stamp(settings.base),
        "donor": model_stamp(settings.donor),
        "own recipes": value_stamp({n: file_sha256(file) for n, file in settings.own_recipes().items()}),
    }
    if (folder / PLAN_FILE).exists():
        try:
            standing = read_planned(folder)
        except ArtifactError:
            if not overwrite:
                raise
        else:
            if standing.plan.depends_on == depends_on:
                return standing
    return make_plan(settings, diagnosis_at, depends_on)


def _diagnosis(settings: ExperimentSettings, folder: Path, overwrite: bool) -> Path:
    """The diagnosis, given or made here; one made here from other things is not taken for it."""
    if isinstance(settings.diagnosis, str):
        return Path(settings.diagnosis)
    from sae_merge_method.diagnose.run import diagnose

    asked = settings.to_diagnose()
    files = [Path(corpus) for corpus in (asked.target, *asked.control)]
    texts = [file_sha256(file) if file.is_file() else None for file in files]
    stamp = value_stamp([asked.model_dump(mode="json"), model_stamp(settings.base), texts])
    at, made_from = folder / DIAGNOSIS_FOLDER, folder / _DIAGNOSED
    stands = (at / DIAGNOSIS_FILE).exists()
    is_it = made_from.exists() and made_from.read_text(encoding="utf-8") == stamp
    if stands and not is_it and not overwrite:
        raise UsageError(
            f"{at} was made with other settings, texts or base than now asked for: name another folder, or "
            "pass --overwrite"
        )
    if not (stands and is_it):
        find_tasks(settings.evaluation)  # a misspelt one is not found out after an hour of encoding
        write_text(made_from, stamp)
        diagnose(asked, at, overwrite=overwrite, report=LOG.info)
    return at


def jobs_of(settings: ExperimentSettings, planned: Planned, general: GeneralCorpus | None) -> list[ArmJob]:
    """All arms of a plan, each with what its numbers depend on."""
    plan = planned.plan
    own = settings.evaluation.include_path
    task_folders = [tasks_path(), *([Path(own)] if own else [])]
    common = {
        "base": plan.depends_on["base"],
        "donor": plan.depends_on["donor"],
        "evaluation": plan.depends_on["evaluation"],
        "tasks": value_stamp([folder_stamp(folder) for folder in task_folders]),
        "general text": value_stamp([general.sha256, general.documents] if general else None),
        "packages": package_versions(),
    }
    models = {"base": plan.base, "donor": plan.donor}
    jobs = []
    for arm in plan.arms:
        recipe = planned.recipes.get(arm.name)
        depends_on = {**common, "recipe": value_stamp(recipe)}
        model = models[arm.role] if recipe is None else None
        jobs.append(ArmJob(arm, model, value_stamp(depends_on), depends_on))
    return jobs


def is_done(folder: Path, arm: str) -> bool:
    """Whether an arm has its record."""
    return (folder / ARMS_FOLDER / arm / ARM_FILE).exists()


def not_done(jobs: Iterable[ArmJob], folder: Path, overwrite: bool) -> list[ArmJob]:
    """The jobs to do; one that was done from other things is done again where told.

    Raises:
        UsageError: It is not to be done again.
    """
    waiting = []
    for job in jobs:
        if not is_done(folder, job.arm.name):
            waiting.append(job)
            continue
        done = read_arm(folder / ARMS_FOLDER / job.arm.name)
        if done.key == job.key:
            continue
        if not overwrite:
            parts = ", ".join(changed(done.depends_on, job.depends_on))
            raise UsageError(
                f"the arm {job.arm.name} in {folder} was made from other things than now asked for "
                f"({parts} differ): name another folder, or pass --overwrite to run it again"
            )
        waiting.append(job)
    return waiting
