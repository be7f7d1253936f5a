"""The table of what an evaluation was run under: what a difference in each field of its file means.

A row a field: whether another value changes the measurement (refuse), may change it (mark) or cannot
(ignore). To judge another field, add a row to :data:`CONDITIONS`; one argument of a backend, to
``model_arguments``. How two runs are held against each other is in ``comparable``.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sae_merge_method.artifacts.lm_eval_results import EvalRun
from sae_merge_method.compare.answers import Pairing
from sae_merge_method.compare.condition import UNRECORDED, Condition, Effect, Read
from sae_merge_method.compare.model_arguments import ARGUMENTS, GENERATION
from sae_merge_method.compare.recorded import (
    backend,
    counted,
    device,
    environment,
    generation_compared,
    no_examples,
    of_task,
    paired_alike,
    prompts_checked,
    realised,
    source,
)


def _loaded_alike(base: EvalRun, edited: EvalRun, pairings: Mapping[str, Pairing]) -> bool:
    """Whether both say which type the weights had in memory, and it is one."""
    first, second = (CONDITIONS["config.model_dtype"].value(run) for run in (base, edited))
    return first is not UNRECORDED and first == second


REFUSE, MARK, IGNORE = Effect.REFUSE, Effect.MARK, Effect.IGNORE
_PROMPT_PARTS = [
    "doc_to_text",
    "doc_to_target",
    "doc_to_choice",
    "doc_to_image",
    "doc_to_audio",
    "custom_dataset",
    "description",
    "target_delimiter",
    "fewshot_delimiter",
    "fewshot_split",
    "fewshot_config",
    "gen_prefix",
    "use_prompt",
]
_SCORING = ["metric_list", "filter_list", "process_docs", "process_results", "should_decontaminate"]
# Said by other rows: where the problems come from, and how many examples there are.
_ELSEWHERE = ["dataset_name", "dataset_kwargs", "test_split", "validation_split", "num_fewshot"]
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
    "configs.*.task_alias",
    "configs.*.group",
    "configs.*.group_alias",
    "configs.*.unsafe_code",
    "configs.*.training_split",
    "configs.*.doc_to_decontamination_query",
    *(f"configs.*.{name}" for name in _ELSEWHERE),
]

CONDITIONS: dict[str, Condition] = {
    row.field: row
    for row in (
        Condition("harness", "evaluated by", REFUSE, "another harness", default="lm-eval"),
        Condition("inspect_version", "version of inspect_ai", MARK, "scoring may differ"),
        Condition("config.model", "backend", REFUSE, "another engine", read=backend),
        # What these make of a prompt is seen in it. Dumps of simple_evaluate never have their keys.
        Condition(
            "chat_template_sha",
            "chat template",
            REFUSE,
            default=None,
            settled=paired_alike,
            recorded_in=("chat_template_sha",),
        ),
        Condition(
            "system_instruction_sha",
            "system instruction",
            REFUSE,
            default=None,
            settled=paired_alike,
            recorded_in=("system_instruction_sha",),
        ),
        Condition(
            "fewshot_as_multiturn",
            "few-shot examples as turns",
            REFUSE,
            read=lambda run, task: run.multiturn,
            settled=paired_alike,
            recorded_in=("fewshot_as_multiturn", "chat_template_sha"),
        ),
        Condition("config.limit", "limit", REFUSE, "other problems", settled=counted),
        Condition("config.samples", "chosen problems", REFUSE, default=None, settled=prompts_checked),
        Condition(
            "config.gen_kwargs", "gen_kwargs", REFUSE, "another generation", settled=generation_compared
        ),
        Condition("config.fewshot_seed", "few-shot seed", REFUSE, "other examples", settled=no_examples),
        Condition("config.random_seed", "random seed", MARK, "another draw where answers are sampled"),
        Condition("config.numpy_seed", "numpy seed", MARK, "another draw where answers are sampled"),
        Condition("config.torch_seed", "torch seed", MARK, "another draw where answers are sampled"),
        Condition("config.batch_size", "batch size", MARK, "padding and rounding differ"),
        Condition("config.batch_sizes", "batch sizes found", MARK, "rounding differs", read=realised),
        Condition("config.device", "device", MARK, "rounding differs", read=device),
        Condition("config.bootstrap_iters", "bootstrap iterations", MARK, "other standard errors"),
        Condition("config.model_dtype", "type of the loaded weights", MARK, "rounding differs"),
        Condition("config.model_num_parameters", "number of parameters", MARK, "not of one architecture"),
        Condition("lm_eval_version", "version of lm-eval", MARK, "scoring may differ", default=None),
        Condition("transformers_version", "version of transformers", MARK, "computing may differ"),
        Condition(
            "pretty_env_info.torch",
            "version of PyTorch",
            MARK,
            "rounding differs",
            read=environment("PyTorch version"),
        ),
        Condition("max_length", "context length", MARK, "long prompts are cut"),
        Condition("tokenizer_bos_token", "tokenizer's BOS", MARK, "other tokens"),
        Condition("tokenizer_eos_token", "tokenizer's EOS", MARK, "other ends of answers"),
        Condition("tokenizer_pad_token", "tokenizer's padding", MARK, "other padding"),
        Condition("eot_token_id", "end-of-text token", MARK, "other ends of answers"),
        Condition("versions.*", "task version", REFUSE, read=of_task("version")),
        Condition("n-samples.*", "sample count", REFUSE, read=of_task("n")),
        Condition("n-shot.*", "few-shot examples", REFUSE, read=of_task("n_shot")),
        Condition("configs.*.generation_kwargs", "generation settings", REFUSE, read=of_task("generation")),
        Condition("configs.*.dataset_path", "data set", REFUSE, read=of_task("dataset")),
        Condition(
            "task_hashes.*",
            "hash of problems and prompts",
            REFUSE,
            read=of_task("task_hash"),
            # It depends on the order of rows, which is another one on another number of GPUs.
            settled=paired_alike,
        ),
        Condition("configs.*.output_type", "kind of request", REFUSE),
        Condition("configs.*.repeats", "repeats", REFUSE),
        *(
            Condition(f"configs.*.{name}", name, REFUSE, read=source(name), settled=prompts_checked)
            for name in _PROMPT_PARTS
        ),
        *(Condition(f"configs.*.{name}", name, MARK, read=source(name)) for name in _SCORING),
        *(Condition(name, name, IGNORE) for name in _IGNORED),
        # inspect_ai's
        Condition("configs.*.solver", "solver", REFUSE, "other prompts"),
        Condition("configs.*.task_args", "task_args", REFUSE, "another task"),
        Condition("configs.*.scorers", "scorers", REFUSE, "another scoring"),
        Condition("configs.*.model_roles", "model_roles", REFUSE, "another grader"),
        Condition("configs.*.epochs", "epochs", MARK, "answers are sampled more often"),
        Condition("configs.*.epochs_reducer", "epochs_reducer", REFUSE, "another scoring"),
        Condition("configs.*.limits", "limits", REFUSE, "samples are ended"),
        Condition("configs.*.sandbox", "sandbox", MARK, "tools may behave otherwise"),
        *(
            Condition(f"configs.*.generate.{name}", f"generate {name}", Effect(one.effect), default=None)
            for name, one in GENERATION.items()
        ),
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


_SECTIONS: Mapping[str, tuple[str, Effect]] = {
    "config.model_args": ("model_args ", REFUSE),
    "config": ("", MARK),
    "configs.*.generate": ("generate ", REFUSE),
    "configs.*": ("", MARK),
}
"""Where fields stand that a later lm-eval may add: how they are called, and what another value does."""


def conditions_of(runs: Sequence[EvalRun]) -> tuple[Condition, ...]:
    """The table, and a row for each field of these runs that it does not have: unknown is not harmless."""
    unknown: dict[str, Condition] = {}
    for section, (called, effect) in _SECTIONS.items():
        for run in runs:
            for name in _names(run.raw, section):
                field = f"{section}.{name}"
                if field in CONDITIONS or field in _SECTIONS:
                    continue
                # A backend's argument that was not given has its default, whatever that is.
                default = None if effect is REFUSE else UNRECORDED
                read = source(name) if section == "configs.*" else None
                if read is None and ("." in name or name == "*"):  # else that would be a way into the name
                    read = _literally(section, name, default)
                unknown[field] = Condition(
                    field, f"{called}{name}", effect, "not known to sae-merge", default, read
                )
    return (*CONDITIONS.values(), *unknown.values())


def _literally(section: str, name: str, default: Any) -> Read:
    """Reads a field of a section by its name as it stands."""

    def read(run: EvalRun, task: str) -> Any:
        inside = Condition(section, section, MARK).value(run, task)
        return inside.get(name, default) if isinstance(inside, Mapping) else UNRECORDED

    return read


def _names(raw: Mapping[str, Any], section: str) -> Iterator[str]:
    """The fields of a section, of every task's."""
    values: list[Any] = [raw]
    for key in section.split("."):
        inside = [value for value in values if isinstance(value, Mapping)]
        values = [one for value in inside for one in (value.values() if key == "*" else [value.get(key)])]
    for value in values:
        if isinstance(value, Mapping):
            yield from map(str, value)
