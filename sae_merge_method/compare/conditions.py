"""The table of what an evaluation was run under: what a difference in each field of lm-eval's file means.

A row a field: whether another value changes the measurement (refuse), may change it (mark) or cannot
(ignore). To judge another field, add a row to :data:`CONDITIONS`; one argument of a backend, to
``model_arguments``. How two runs are held against each other is in ``comparable``.
"""

import re
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, NamedTuple

from sae_merge_method.artifacts.lm_eval_results import EvalRun
from sae_merge_method.compare.answers import Pairing
from sae_merge_method.compare.model_arguments import ARGUMENTS, plain_value


class Effect(Enum):
    """What a difference does to a comparison."""

    REFUSE = "refuse"
    """It changes the measurement: there is no comparison unless it is allowed, and then it is marked."""
    MARK = "mark"
    """It may move a score: compared, and marked."""
    IGNORE = "ignore"
    """It cannot change a score, or is the model itself."""


class Unrecorded:
    """Stands for what a file does not say, which is no difference; null is a value."""


UNRECORDED = Unrecorded()

Settled = Callable[[EvalRun, EvalRun, Mapping[str, Pairing]], bool]
Read = Callable[[EvalRun, str], Any]


class Condition(NamedTuple):
    """One field of a results file."""

    field: str
    """Where it stands, names joined by dots; ``*`` stands for each task."""
    title: str
    """As messages call it."""
    effect: Effect
    why: str = ""
    """What a difference does, for messages; empty where the title says it."""
    default: Any = UNRECORDED
    """What a file means that leaves the field out."""
    read: Read | None = None
    """How its value is read where the field alone does not tell; takes the run and the task's name."""
    settled: Settled | None = None
    """Whether something else in both runs shows that this difference came to nothing."""

    def value(self, run: EvalRun, task: str = "") -> Any:
        """What the run says; :data:`UNRECORDED` where it does not."""
        if self.read is not None:
            return self.read(run, task)
        value: Any = run.raw
        for name in self.field.split("."):
            if not isinstance(value, Mapping):
                return UNRECORDED
            value = value.get(task if name == "*" else name, self.default)
        return plain_value(value)


def _known(value: Any) -> Any:
    return UNRECORDED if value is None else value


def _of_task(attribute: str) -> Read:
    """A fact of the task that the reader gathers from several fields."""
    return lambda run, task: _known(getattr(run.tasks[task], attribute))


def _backend(run: EvalRun, task: str) -> Any:
    """The name of the engine; a model handed over as an object has its own name in that field."""
    config = run.raw.get("config")
    if not isinstance(config, Mapping) or not (config.get("model_args") or run.raw.get("model_source")):
        return UNRECORDED
    name = str(run.raw.get("model_source") or config.get("model"))
    return "hf" if name in ("hf-auto", "huggingface", "hf-causal") else name


def _device(run: EvalRun, task: str) -> Any:
    """The kind of device, without which of them it was."""
    config = run.raw.get("config")
    device = config.get("device") if isinstance(config, Mapping) else None
    return UNRECORDED if device is None else str(device).partition(":")[0]


def _realised(run: EvalRun, task: str) -> Any:
    config = run.raw.get("config")
    return (config.get("batch_sizes") if isinstance(config, Mapping) else None) or UNRECORDED


def _source(name: str) -> Read:
    """A template, or the text of a function without its address in memory."""

    def read(run: EvalRun, task: str) -> Any:
        configs = run.raw.get("configs")
        config = configs.get(task) if isinstance(configs, Mapping) else None
        if not isinstance(config, Mapping) or name not in config:
            return UNRECORDED
        value = config[name]
        return re.sub(r" at 0x[0-9a-f]+", "", value) if isinstance(value, str) else value

    return read


def _prompts_checked(base: EvalRun, edited: EvalRun, pairings: Mapping[str, Pairing]) -> bool:
    """Whether every prompt was held against its like, by its own hash or by that of the task."""
    return all(
        (pairing.pairs and all(side.prompt_hash for both in pairing.pairs for side in both))
        or (base.tasks[task].task_hash and edited.tasks[task].task_hash)
        for task, pairing in pairings.items()
    )


def _no_examples(base: EvalRun, edited: EvalRun, pairings: Mapping[str, Pairing]) -> bool:
    """Whether the choice of few-shot examples is seen in the prompts, or there are none to choose."""
    shots = [run.tasks[task].n_shot for run in (base, edited) for task in pairings]
    return all(n == 0 for n in shots) or _prompts_checked(base, edited, pairings)


def _counted(base: EvalRun, edited: EvalRun, pairings: Mapping[str, Pairing]) -> bool:
    """Whether numbers of problems were compared task by task: a limit takes the first ones."""
    return all(run.tasks[task].n is not None for run in (base, edited) for task in pairings)


def _generation_compared(base: EvalRun, edited: EvalRun, pairings: Mapping[str, Pairing]) -> bool:
    """lm-eval writes what was asked for into every task that generates."""
    return all(run.tasks[task].generation is not None for run in (base, edited) for task in pairings)


def _loaded_alike(base: EvalRun, edited: EvalRun, pairings: Mapping[str, Pairing]) -> bool:
    """Whether both say which type the weights had in memory, and it is one."""
    first, second = (CONDITIONS["config.model_dtype"].value(run) for run in (base, edited))
    return first is not UNRECORDED and first == second


REFUSE, MARK, IGNORE = Effect.REFUSE, Effect.MARK, Effect.IGNORE
_PROMPT_PARTS = [
    "doc_to_text",
    "doc_to_target",
    "doc_to_choice",
    "description",
    "target_delimiter",
    "fewshot_delimiter",
    "fewshot_split",
    "fewshot_config",
    "gen_prefix",
    "use_prompt",
]
_SCORING = ["metric_list", "filter_list", "process_docs", "process_results"]
_IGNORED = [
    "git_hash",
    "date",
    "start_time",
    "end_time",
    "total_evaluation_time_seconds",
    "pretty_env_info",
    "upper_git_hash",
    "model_name",
    "model_name_sanitized",
    "config.use_cache",
    "config.model_revision",
    "config.model_sha",
    "config.peft_sha",
    "config.delta_sha",
    "configs.*.metadata",
    "configs.*.task",
    "configs.*.tag",
    "configs.*.training_split",
]

CONDITIONS: dict[str, Condition] = {
    row.field: row
    for row in (
        Condition("config.model", "backend", REFUSE, "another engine", read=_backend),
        Condition("chat_template_sha", "chat template", REFUSE, default=None),
        Condition("system_instruction_sha", "system instruction", REFUSE, default=None),
        Condition(
            "fewshot_as_multiturn",
            "few-shot examples as turns",
            REFUSE,
            read=lambda run, task: run.multiturn,
        ),
        Condition("config.limit", "limit", REFUSE, "other problems", settled=_counted),
        Condition("config.samples", "chosen problems", REFUSE, default=None, settled=_prompts_checked),
        Condition(
            "config.gen_kwargs", "gen_kwargs", REFUSE, "another generation", settled=_generation_compared
        ),
        Condition("config.fewshot_seed", "few-shot seed", REFUSE, "other examples", settled=_no_examples),
        Condition("config.random_seed", "random seed", MARK, "another draw where answers are sampled"),
        Condition("config.numpy_seed", "numpy seed", MARK, "another draw where answers are sampled"),
        Condition("config.torch_seed", "torch seed", MARK, "another draw where answers are sampled"),
        Condition("config.batch_size", "batch size", MARK, "padding and rounding differ"),
        Condition("config.batch_sizes", "batch sizes found", MARK, "rounding differs", read=_realised),
        Condition("config.device", "device", MARK, "rounding differs", read=_device),
        Condition("config.bootstrap_iters", "bootstrap iterations", MARK, "other standard errors"),
        Condition("config.model_dtype", "type of the loaded weights", MARK, "rounding differs"),
        Condition("config.model_num_parameters", "number of parameters", MARK, "not of one architecture"),
        Condition("lm_eval_version", "version of lm-eval", MARK, "scoring may differ", default=None),
        Condition("transformers_version", "version of transformers", MARK, "computing may differ"),
        Condition("max_length", "context length", MARK, "long prompts are cut"),
        Condition("tokenizer_bos_token", "tokenizer's BOS", MARK, "other tokens"),
        Condition("tokenizer_eos_token", "tokenizer's EOS", MARK, "other ends of answers"),
        Condition("tokenizer_pad_token", "tokenizer's padding", MARK, "other padding"),
        Condition("eot_token_id", "end-of-text token", MARK, "other ends of answers"),
        Condition("versions.*", "task version", REFUSE, read=_of_task("version")),
        Condition("n-samples.*", "sample count", REFUSE, read=_of_task("n")),
        Condition("n-shot.*", "few-shot examples", REFUSE, read=_of_task("n_shot")),
        Condition("configs.*.generation_kwargs", "generation settings", REFUSE, read=_of_task("generation")),
        Condition("configs.*.dataset_path", "data set", REFUSE, read=_of_task("dataset")),
        Condition("task_hashes.*", "hash of problems and prompts", REFUSE, read=_of_task("task_hash")),
        Condition("configs.*.output_type", "kind of request", REFUSE),
        Condition("configs.*.repeats", "repeats", REFUSE),
        *(
            Condition(f"configs.*.{name}", name, REFUSE, read=_source(name), settled=_prompts_checked)
            for name in _PROMPT_PARTS
        ),
        *(Condition(f"configs.*.{name}", name, MARK, read=_source(name)) for name in _SCORING),
        *(Condition(name, name, IGNORE) for name in _IGNORED),
        *(
            Condition(
                f"config.model_args.{argument.name}",
                f"model_args {argument.name}",
                Effect(argument.effect),
                default=argument.default,
                settled=_loaded_alike if argument.name == "dtype" else None,
            )
            for argument in ARGUMENTS.values()
        ),
    )
}


def condition_of_argument(name: str) -> Condition:
    """The row of a backend's argument; one that the table does not know is refused."""
    field = f"config.model_args.{name}"
    return CONDITIONS.get(field) or Condition(
        field, f"model_args {name}", REFUSE, "not known to sae-merge", default=None
    )
