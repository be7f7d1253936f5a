"""A task's problems one by one: which there are, what a right answer is, and what a loaded model scores on
some of them.

Nothing is written: files as ``lm_eval run`` leaves them are for :mod:`~sae_merge_method.evaluation.harness`.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from sae_merge_method.errors import UsageError
from sae_merge_method.evaluation.harness import Harness
from sae_merge_method.evaluation.settings import EvaluationSettings

if TYPE_CHECKING:
    from lm_eval.api.instance import Instance
    from lm_eval.api.model import TemplateLM

    from sae_merge_method.loaded.text_model import TextModel

_SEED = 1234
"""lm-eval's own, for the examples that it shows."""


class Question(NamedTuple):
    """One problem of one task."""

    task: str
    number: int
    """Number among the task's problems."""
    text: str
    """What is asked, without examples and instructions: the same text is the same problem."""
    prompt: str
    """What the model reads."""
    answer: str | None
    """A right answer as it would follow the prompt; None where the task has none to be followed."""


def lm_around(model: "TextModel", settings: EvaluationSettings) -> "TemplateLM":
    """A model that is in memory as lm-eval holds it: an edit of its weights is an edit of what is asked.

    Args:
        model: Loaded with its head.
        settings: How lm-eval is called.
    """
    from lm_eval.models.huggingface import HFLM

    held: Any = HFLM(
        pretrained=model.causal,
        tokenizer=model.tokenizer,
        batch_size=settings.batch_size,
        **settings.model_args,
    )
    return held


def questions(harness: Harness, lm: "TemplateLM") -> tuple[Question, ...]:
    """All problems of the tasks that were asked for, within their limit.

    Raises:
        Exception: A data set cannot be had: whatever its library raises.
    """
    return tuple(
        question
        for name, task in harness.load_tasks().items()
        for question in _of_task(name, task, harness.settings, harness.limit_of(task), lm)
    )


def _of_task(
    name: str, task: Any, settings: EvaluationSettings, limit: int | None, lm: Any
) -> Iterator[Question]:
    """The prompts are made by lm-eval itself, as it makes them to be answered."""
    shots = task.get_config("num_fewshot")
    asked = settings.num_fewshot if settings.num_fewshot is not None and shots != 0 else shots
    task.set_config(key="num_fewshot", value=asked or 0)
    task.set_fewshot_seed(seed=_SEED)
    in_chat = bool(settings.apply_chat_template)
    task.build_all_requests(
        limit=limit,
        system_instruction=settings.system_instruction,
        apply_chat_template=in_chat,
        fewshot_as_multiturn=settings.fewshot_as_multiturn,
        chat_template=lm.apply_chat_template if in_chat else None,
        tokenizer_name=lm.tokenizer_name if in_chat else "",
    )
    of_each: dict[int, list[Instance]] = {}
    for instance in task.instances:
        of_each.setdefault(instance.doc_id, []).append(instance)
    for index, instances in of_each.items():
        doc = instances[0].doc
        prompt, answer = _right(task, doc, instances, in_chat=in_chat)
        yield Question(name, index, _text(task, doc), prompt, answer)


def _text(task: Any, doc: Any) -> str:
    asked = task.doc_to_text(doc)
    if not isinstance(asked, str):  # which of several beginnings fits
        return json.dumps(doc, sort_keys=True, default=str)
    choices = task.doc_to_choice(doc) if task.config.doc_to_choice else ()
    return "\n".join([asked, *map(str, choices)])


def _right(task: Any, doc: Any, instances: "Sequence[Instance]", *, in_chat: bool) -> tuple[str, str | None]:
    """Prompt and right answer."""
    prompt = str(instances[0].args[0])
    kind = task.get_config("output_type")
    if kind == "loglikelihood":
        return prompt, str(instances[0].args[1])
    target = task.doc_to_target(doc)
    if isinstance(target, list):
        if not target:
            return prompt, None
        target = target[0]
    if kind == "multiple_choice":
        nth = target
        if task.multiple_input:
            nth = task.doc_to_text(doc)
        elif not isinstance(nth, int):
            nth = task.doc_to_choice(doc).index(nth)
        if not 0 <= nth < len(instances):
            return prompt, None
        return str(instances[nth].args[0]), str(instances[nth].args[1])
    if kind == "generate_until":
        return prompt, f"{'' if in_chat else task.config.target_delimiter}{target}"
    return prompt, None


def scores(harness: Harness, lm: "TemplateLM", asked: Sequence[Question], metric: str) -> tuple[float, ...]:
    """What a model scores on some problems, one number each, in their order.

    Args:
        harness: With the problems' tasks.
        lm: The model.
        asked: The problems, at least one.
        metric: lm-eval's name for the score, with or without its filter behind a comma.

    Raises:
        UsageError: A task has no such metric, or it is no number for one problem, or less of it is better.
    """
    of_tasks: dict[str, list[int]] = {}
    for question in asked:
        of_tasks.setdefault(question.task, []).append(question.number)
    answered = harness.ask(lm, {task: sorted(indices) for task, indices in of_tasks.items()})
    for task, better in answered["higher_is_better"].items():
        if not better.get(metric.partition(",")[0], True):
            raise UsageError(
                f"metric: the task {task} is better the less there is of {metric}: expected another"
            )
    samples = answered["samples"]
    answers = {
        (task, row["doc_id"]): _number(task, row, metric.partition(",")[0])
        for task, rows in samples.items()
        for row in _of_filter(task, rows, metric)
    }
    return tuple(answers[question.task, question.number] for question in asked)


def _of_filter(task: str, rows: Sequence[Mapping[str, Any]], metric: str) -> list[Mapping[str, Any]]:
    """The rows of the metric's filter; of the task's first that has it, where none is named."""
    name, _, filter_name = metric.partition(",")
    having = [row for row in rows if name in row["metrics"] and filter_name in ("", row["filter"])]
    if not having:
        known = sorted({f"{each},{row['filter']}" for row in rows for each in row["metrics"]})
        raise UsageError(f"metric: the task {task} has no {metric}; it has {', '.join(known)}")
    return [row for row in having if row["filter"] == having[0]["filter"]]


def _number(task: str, row: Mapping[str, Any], metric: str) -> float:
    value = row[metric]
    if isinstance(value, bool | int | float) and math.isfinite(value):
        return float(value)
    raise UsageError(
        f"metric: expected one with a number for every problem, {metric} of the task {task} has {value!r:.40}"
    )
