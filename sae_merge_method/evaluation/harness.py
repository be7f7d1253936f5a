"""lm-eval inside one process: imported once, its tasks found once, then called for arm after arm.

It does what ``lm_eval run`` does and leaves the same files. What the model that is loaded anyway says of the
general text is the affair of ``likelihoods``.

Threads, device and batch size may change the last bits of a logit, and so, rarely, an answer: hold them
equal over the arms, as one run does.
"""

import gc
import logging
import os
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from sae_merge_method.artifacts.lm_eval_model import token_limit, usual_token_limit
from sae_merge_method.errors import UsageError
from sae_merge_method.evaluation.remembered import remembered
from sae_merge_method.evaluation.requests import Requests
from sae_merge_method.evaluation.settings import BACKENDS, EvaluationSettings
from sae_merge_method.evaluation.tasks import FoundTasks, directions, find_tasks
from sae_merge_method.models.devices import resolve_device
from sae_merge_method.models.hub import ModelId, as_path, parse_model_id

if TYPE_CHECKING:
    from lm_eval.api.model import TemplateLM
    from lm_eval.api.task import Task
    from lm_eval.tasks import TaskManager


LOG = logging.getLogger(__name__)


class TaskSize(NamedTuple):
    """How large a task is."""

    problems: int
    """Those that are asked, a limit included."""
    tokens: int
    """The longest that an answer may be; 0 where none is generated."""


class Harness:
    """One import of lm-eval."""

    def __init__(self, settings: EvaluationSettings, base: str) -> None:
        """Find the tasks.

        Args:
            settings: How lm-eval is called.
            base: Some tasks are made with a model's tokenizer: it is the base's, which all arms share.

        Raises:
            UsageError: A backend is asked for that is not installed, or as :func:`find_tasks`.
        """
        backend = BACKENDS[settings.model]
        if find_spec(backend.package) is None:
            raise UsageError(
                f"evaluation.model: {backend.package} is not installed: pip install '{backend.install}'"
            )
        # As lm_eval's own command does, before tokenizers are loaded.
        os.environ["TOKENIZERS_PARALLELISM"] = "false"
        self.settings = settings
        self._device = resolve_device(settings.device) if backend.takes_device else None
        self._tasks, self._task_manager = find_tasks(settings, self._model_args(base))
        self._requests = Requests(self._task_manager)
        self._usual_limit = usual_token_limit(settings.model_args)
        if settings.confirm_run_unsafe_code:
            os.environ["HF_ALLOW_CODE_EVAL"] = (
                "1"  # the metric of those tasks asks for it when they are loaded
            )
        LOG.info("lm-eval %s is loaded: tasks %s", version("lm_eval"), ", ".join(self._tasks))

    def sizes(self) -> dict[str, "TaskSize"]:
        """How large every task is, by name; its problems are loaded, no model is.

        Raises:
            Exception: A data set cannot be had: whatever its library raises.
        """
        sizes = {}
        for name, task in self.load_tasks().items():
            problems, limit = len(task.eval_docs), self.limit_of(task)
            generation = {**(task.config.generation_kwargs or {}), **self.settings.gen_kwargs}
            generates = task.get_config("output_type") == "generate_until"
            tokens = (token_limit(generation) or self._usual_limit) if generates else 0
            sizes[name] = TaskSize(problems if limit is None else min(problems, limit), tokens)
        return sizes

    def load_tasks(self) -> "dict[str, Task]":
        """The tasks by name, groups taken apart; their problems are loaded, and may raise what they like."""
        loaded: dict[str, Task] = self._task_manager.load(list(self._tasks))["tasks"]
        return loaded

    def directions(self, metric: str) -> dict[str, bool]:
        """Which way a metric runs, as :func:`~sae_merge_method.evaluation.tasks.directions` has it."""
        return directions(FoundTasks(self._tasks, self._task_manager), metric)

    def limit_of(self, task: "Task") -> int | None:
        """How many of a task's problems are asked; None for all."""
        from lm_eval.evaluator_utils import get_sample_size

        limit: int | None = get_sample_size(task, self.settings.limit)
        return limit

    def ask(self, lm: "TemplateLM", indices: Mapping[str, Sequence[int]]) -> dict[str, Any]:
        """Ask some problems, and write nothing.

        Args:
            lm: The loaded model.
            indices: By task, numbers of its problems, ascending; at least one each.

        Returns:
            lm-eval's own results, samples inside.
        """
        return self._evaluate(lm, list(indices), self._task_manager, samples=dict(indices), bootstrap_iters=0)

    def _evaluate(
        self, lm: "TemplateLM", tasks: list[str], manager: "TaskManager", **more: Any
    ) -> dict[str, Any]:
        """lm-eval's own call, as the settings have it."""
        from lm_eval import simple_evaluate

        asked = self.settings
        with remembered(manager) as remembering:
            results: dict[str, Any] = simple_evaluate(
                model=lm,
                tasks=tasks,
                num_fewshot=asked.num_fewshot,
                batch_size=asked.batch_size,
                device=self._device,
                log_samples=True,
                system_instruction=asked.system_instruction,
                apply_chat_template=asked.apply_chat_template,
                fewshot_as_multiturn=asked.fewshot_as_multiturn,
                gen_kwargs=dict(asked.gen_kwargs) or None,
                confirm_run_unsafe_code=asked.confirm_run_unsafe_code,
                task_manager=remembering,
                **more,
            )
        return results

    def load(self, model: str | ModelId) -> "TemplateLM":
        """A model as lm-eval holds it; the memory of the one before, if nobody holds it, is free first."""
        from lm_eval.api.registry import get_model

        _free_memory()
        return get_model(self.settings.model).create_from_arg_obj(
            self._model_args(model),
            {"batch_size": self.settings.batch_size, "device": self._device},
        )

    def score(self, lm: "TemplateLM", model: str | ModelId, out: Path) -> float | None:
        """Run the tasks, and write results and samples into ``out`` as ``lm_eval run`` would.

        Args:
            lm: The loaded model.
            model: Its name, for the record: of a model that can be had, or as it is to stand there.
            out: What the command calls ``--output_path``.

        Returns:
            Share of the generated answers as long as the task's token limit; None where none is generated.
        """
        from lm_eval.loggers import EvaluationTracker

        asked = self.settings
        tracker = EvaluationTracker(output_path=str(out))
        # Given a loaded model, lm-eval records none: what it was called with is told to it here.
        tracker.general_config_tracker.log_experiment_args(
            model_source=asked.model,
            model_args=self._model_args(model),
            system_instruction=asked.system_instruction,
            chat_template=lm.chat_template(asked.apply_chat_template) if asked.apply_chat_template else None,
            fewshot_as_multiturn=asked.fewshot_as_multiturn,
        )
        results = self._evaluate(
            lm,
            list(self._tasks),
            self._requests.of(lm),
            limit=asked.limit,
            model_args=self._model_args(model),
        )
        results["config"]["model"] = asked.model
        samples = results.pop("samples")
        tracker.save_results_aggregated(results=results, samples=samples)
        for task in results["configs"]:
            tracker.save_results_samples(task_name=task, samples=samples[task])
        return _cut_off(lm, results["configs"], samples, self._usual_limit)

    def _model_args(self, model: str | ModelId) -> dict[str, Any]:
        at = model if isinstance(model, ModelId) else parse_model_id(model)
        path = at.path if isinstance(model, ModelId) else as_path(at.path)
        revision = {"revision": at.revision} if at.revision else {}
        return {"pretrained": path, **revision, **self.settings.model_args}


def _cut_off(
    lm: "TemplateLM",
    configs: Mapping[str, Mapping[str, Any]],
    samples: Mapping[str, Sequence[Any]],
    usual: int,
) -> float | None:
    reached = total = 0
    for task, rows in samples.items():
        config = configs[task]
        if config.get("output_type") != "generate_until":
            continue
        limit = token_limit(config.get("generation_kwargs") or {}) or usual
        texts = [text for row in rows for answers in row["resps"] for text in answers]
        # One that ran into the limit has as many tokens as that, or reads back as more.
        reached += sum(len(lm.tok_encode(text, add_special_tokens=False)) >= limit for text in texts)
        total += len(texts)
    return reached / total if total else None


def _free_memory() -> None:
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
