"""The seam with mergekit and lm-eval: the only place that changes anything in them.

All of them may be called any number of times. ``sae-merge`` commands call them; for the hosts'
own commands the start-up hook (:mod:`sae_merge_method._startup`) does. What is registered is
declared elsewhere: ``sae_merge_method.merge.methods`` and the folder of ``sae_merge_method.lm_eval_tasks``.
"""

import functools
import importlib
import inspect
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from sae_merge_method.errors import SaeMergeError

_MERGE_STAGE = "sae_merge_method.merge"
_WHOLE: set[str] = set()
"""Packages not to be looked at again for each merge: what waited for them to be whole has been done."""


def register_merge_methods() -> None:
    """Make our merge methods known to mergekit by name, and the dtype that it writes known to them.

    Raises:
        SaeMergeError: mergekit is absent or keeps its methods elsewhere, or another plugin holds a name.
    """
    try:
        registry = importlib.import_module("mergekit.merge_methods.registry")
        known = {method.spec.name: method for method in registry.registered_methods()}
        register = registry.register
    except (ImportError, AttributeError) as error:
        raise SaeMergeError(
            f"expected mergekit.merge_methods.registry with register and registered_methods, got: {error}"
        ) from error
    if _half_imported(_MERGE_STAGE):
        # The hook fired because our own declarations are just importing mergekit. They are not
        # ready to be registered, and who imports them directly registers explicitly.
        return
    for method in importlib.import_module(f"{_MERGE_STAGE}.methods").mergekit_methods():
        name = method.spec.name
        if name not in known:
            register(method)
        elif known[name] is not method:
            raise SaeMergeError(f"mergekit already has another merge method named {name!r}: {known[name]!r}")
    if not _half_imported("mergekit"):  # else the hook goes on once the planner is there
        register_written_dtype()


def register_written_dtype() -> None:
    """Let mergekit's planner tell our methods the dtype that a merge writes.

    A task of its graph has a field for it, ``out_dtype``, which ``mergekit-pytorch`` fills; the planner of
    ``mergekit-yaml`` leaves it empty, and results are rounded when they are saved: to nearest, after a kernel
    has rounded them to the dtype of its inputs.

    Raises:
        SaeMergeError: mergekit's planner is not the one this was written for.
    """
    try:
        planner = importlib.import_module("mergekit.plan").MergePlanner
        plan_tensor = planner.plan_tensor
        fits = "_tensors" in planner.__annotations__
    except (ImportError, AttributeError) as error:
        raise SaeMergeError(_planner_changed(str(error))) from error
    if not fits:
        raise SaeMergeError(_planner_changed("no _tensors"))
    if not hasattr(plan_tensor, "sae_merge_dtype"):
        planner.plan_tensor = _with_written_dtype(plan_tensor)


def _with_written_dtype(plan_tensor: Callable[..., None]) -> Callable[..., None]:
    """``MergePlanner.plan_tensor`` whose tasks of our methods know the dtype of the result."""
    from sae_merge_method.recipe.methods import METHODS

    @functools.wraps(plan_tensor)
    def plan_with_dtype(self: Any, *args: Any, **kwargs: Any) -> None:
        planned = len(self._tensors)
        plan_tensor(self, *args, **kwargs)
        dtype = self.config.out_dtype
        for number, (weight, task) in enumerate(self._tensors[planned:], start=planned):
            if dtype and not weight.force_dtype and getattr(task, "method_name", None) in METHODS:
                self._tensors[number] = (weight, task.model_copy(update={"out_dtype": dtype}))

    plan_with_dtype.sae_merge_dtype = True  # type: ignore[attr-defined]
    return plan_with_dtype


def _planner_changed(came: str) -> str:
    return (
        f"expected mergekit.plan.MergePlanner with plan_tensor and _tensors, got: {came}; "
        "in mergekit-yaml, leave out_dtype out of recipes of ours until this is mended"
    )


def register_tasks() -> None:
    """Let lm-eval index our task folder right after its own.

    Later folders win there, so whatever the user gives as ``--include_path`` still overrides ours;
    without lm-eval's defaults (``include_defaults=False``) ours stay out as well.

    Raises:
        SaeMergeError: lm-eval is absent, or its task index is not the one this was written for.
    """
    from sae_merge_method.lm_eval_tasks import tasks_path

    tasks = tasks_path()
    try:
        # A private module: nothing public takes a default task folder.
        index = importlib.import_module("lm_eval.tasks._index")
        build = index.TaskIndex.build
        fits = next(iter(inspect.signature(build).parameters), None) == "paths"
    except (ImportError, AttributeError) as error:
        raise SaeMergeError(_index_changed(tasks, str(error))) from error
    if not fits:
        raise SaeMergeError(_index_changed(tasks, f"TaskIndex.build{inspect.signature(build)}"))
    if not hasattr(build, "sae_merge_tasks"):
        index.TaskIndex.build = staticmethod(_with_folder(build, tasks, Path(str(index.__file__)).parent))


def _with_folder(
    build: Callable[..., dict[str, Any]], tasks: Path, builtin: Path
) -> Callable[..., dict[str, Any]]:
    """``TaskIndex.build`` with ``tasks`` put after ``builtin`` among its paths."""

    @functools.wraps(build)
    def build_with_tasks(paths: Iterable[Path], *args: Any, **kwargs: Any) -> dict[str, Any]:
        paths = list(paths)
        resolved = [Path(path).resolve() for path in paths]
        # Twice in the list would be an override of each task by itself, with a warning for each.
        if builtin.resolve() in resolved and tasks.resolve() not in resolved:
            paths.insert(resolved.index(builtin.resolve()) + 1, tasks)
        return build(paths, *args, **kwargs)

    build_with_tasks.sae_merge_tasks = tasks  # type: ignore[attr-defined]
    return build_with_tasks


def _index_changed(tasks: Path, came: str) -> str:
    return (
        f"expected lm_eval.tasks._index.TaskIndex.build(paths, ...) to add tasks to, got: {came}; "
        f"'lm_eval --include_path {tasks}' finds them without it"
    )


def _half_imported(package: str) -> bool:
    """Whether some module of ``package`` is being imported right now."""
    if package in _WHOLE:
        return False
    within = f"{package}."
    is_half = any(
        getattr(getattr(module, "__spec__", None), "_initializing", False)
        for name, module in list(sys.modules.items())
        if name == package or name.startswith(within)
    )
    if not is_half:
        _WHOLE.add(package)
    return is_half
