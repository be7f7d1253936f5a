"""What a run recorded where a field alone does not tell, and when a difference came to nothing.

The readers and judges that rows of ``conditions`` name.
"""

import re
from collections.abc import Mapping
from typing import Any

from sae_merge_method.artifacts.lm_eval_results import EvalRun
from sae_merge_method.compare.answers import Pairing
from sae_merge_method.compare.condition import UNRECORDED, Read


def _known(value: Any) -> Any:
    return UNRECORDED if value is None else value


def of_task(attribute: str) -> Read:
    """A fact of the task that the reader gathers from several fields."""
    return lambda run, task: _known(getattr(run.tasks[task], attribute))


def backend(run: EvalRun, task: str) -> Any:
    """The name of the engine; a model handed over as an object has its own name in that field."""
    config = run.raw.get("config")
    if not isinstance(config, Mapping) or not (config.get("model_args") or run.raw.get("model_source")):
        return UNRECORDED
    name = str(run.raw.get("model_source") or config.get("model"))
    return "hf" if name in ("hf-auto", "huggingface", "hf-causal") else name


def device(run: EvalRun, task: str) -> Any:
    """The kind of device, without which of them it was."""
    config = run.raw.get("config")
    device = config.get("device") if isinstance(config, Mapping) else None
    return UNRECORDED if device is None else str(device).partition(":")[0]


def realised(run: EvalRun, task: str) -> Any:
    """The batch sizes that were found to fit."""
    config = run.raw.get("config")
    return (config.get("batch_sizes") if isinstance(config, Mapping) else None) or UNRECORDED


def environment(line: str) -> Read:
    """What a line of the environment's description says, such as PyTorch's version."""

    def read(run: EvalRun, task: str) -> Any:
        match = re.search(rf"^{re.escape(line)}: *(.+)$", str(run.raw.get("pretty_env_info")), re.MULTILINE)
        return match[1].strip() if match else UNRECORDED

    return read


def source(name: str) -> Read:
    """A template, or the text of a function, without addresses in memory: every process has its own."""

    def read(run: EvalRun, task: str) -> Any:
        configs = run.raw.get("configs")
        config = configs.get(task) if isinstance(configs, Mapping) else None
        if not isinstance(config, Mapping) or name not in config:
            return UNRECORDED
        return _without_addresses(config[name])

    return read


def _without_addresses(value: Any) -> Any:
    """A value and what is in it: lm-eval writes functions into lists of filters and the like."""
    if isinstance(value, Mapping):
        return {key: _without_addresses(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_without_addresses(one) for one in value]
    return re.sub(r" at 0x[0-9a-fA-F]+", "", value) if isinstance(value, str) else value


def prompts_checked(base: EvalRun, edited: EvalRun, pairings: Mapping[str, Pairing]) -> bool:
    """Whether every prompt was held against its like, by its own hash or by that of the task."""
    return all(
        pairing.prompts_known or (base.tasks[task].task_hash and edited.tasks[task].task_hash)
        for task, pairing in pairings.items()
    )


def paired_alike(base: EvalRun, edited: EvalRun, pairings: Mapping[str, Pairing]) -> bool:
    """Whether every problem was paired, with the same prompt and the same target on both sides."""
    return all(pairing.is_alike for pairing in pairings.values())


def no_examples(base: EvalRun, edited: EvalRun, pairings: Mapping[str, Pairing]) -> bool:
    """Whether the choice of few-shot examples is seen in the prompts, or there are none to choose."""
    shots = [run.tasks[task].n_shot for run in (base, edited) for task in pairings]
    return all(n == 0 for n in shots) or prompts_checked(base, edited, pairings)


def counted(base: EvalRun, edited: EvalRun, pairings: Mapping[str, Pairing]) -> bool:
    """Whether numbers of problems were compared task by task: a limit takes the first ones."""
    return all(run.tasks[task].n is not None for run in (base, edited) for task in pairings)


def generation_compared(base: EvalRun, edited: EvalRun, pairings: Mapping[str, Pairing]) -> bool:
    """lm-eval writes what was asked for into every task that generates."""
    return all(run.tasks[task].generation is not None for run in (base, edited) for task in pairings)
