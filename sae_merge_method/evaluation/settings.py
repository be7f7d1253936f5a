"""How lm-eval is called: the keys ``evaluation`` of an experiment's file and of a search's."""

from typing import Annotated, Any, NamedTuple

from pydantic import BeforeValidator, Field, field_validator

from sae_merge_method.artifacts.schema import Location, OneOf, Record
from sae_merge_method.models.devices import AUTO, DeviceName

Plain = str | int | float | bool


class Backend(NamedTuple):
    """What lm-eval may run a model with: its ``--model``."""

    name: str
    """lm-eval's name for it."""
    package: str
    """What it imports."""
    install: str
    """What installs it."""
    takes_device: bool
    """Whether it is told the device; otherwise it places the model itself."""
    casting_alone: frozenset[str] = frozenset()
    """Arguments with which its model lies in our own process, each tensor the cast of its file's: with any
    other, the weights may be spread, packed or changed. Empty where they never lie in our process."""


OF_A_LOADED_MODEL = frozenset(
    (
        "add_bos_token", "enable_thinking", "logits_cache", "max_batch_size", "max_length", "prefix_token_id",
        "softmax_dtype", "think_end_token", "truncation",
    )
)  # fmt: skip
"""Arguments of the backend hf that say how a model is asked, not how it is loaded."""
_HF_CASTING_ALONE = OF_A_LOADED_MODEL | {
    "attn_implementation",
    "dtype",
    "low_cpu_mem_usage",
    "mixed_precision_dtype",
    "tokenizer",
    "use_fast_tokenizer",
}

BACKENDS = {
    backend.name: backend
    for backend in (
        Backend("hf", "transformers", "lm-eval[hf]", takes_device=True, casting_alone=_HF_CASTING_ALONE),
        Backend("vllm", "vllm", "lm-eval[vllm]", takes_device=False),
    )
}
"""All of them, by name."""


def _as_list(value: Any) -> Any:
    return value.split(",") if isinstance(value, str) else value


TaskNames = Annotated[tuple[str, ...], BeforeValidator(_as_list), Field(min_length=1)]
"""Tasks, groups or tags of lm-eval, as a list or with commas between."""


class EvaluationSettings(Record):
    """How lm-eval is called; the names are its own command's."""

    model: Annotated[str, OneOf(BACKENDS)] = "hf"
    """lm-eval's backend that runs the models."""
    model_args: dict[str, Plain] = Field(default_factory=dict)
    """The backend's arguments beside ``pretrained``, which is the arm's: dtype, max_length, ..."""
    tasks: TaskNames = ("minerva_math_sae",)
    """Tasks, groups or tags of lm-eval."""
    include_path: Location | None = None
    """Folder with tasks of the user's own, YAML as lm-eval reads it."""
    num_fewshot: int | None = Field(default=None, ge=0)
    """Solved problems shown before each; without it, the task's own number."""
    limit: float | None = Field(default=None, gt=0)
    """Problems a task, or below 1 a share of them; without it, all."""
    batch_size: int | str = 1
    """Problems that go through the model together: a number, auto or auto:N."""
    device: DeviceName = AUTO
    """Torch device; auto is the first there is of cuda, mps and cpu. A backend that places models itself
    is not told."""
    apply_chat_template: bool | str = False
    """Whether problems are put into the model's chat template, or the name of the template."""
    fewshot_as_multiturn: bool = True
    """Whether solved problems become turns of a chat, where there is a chat template."""
    system_instruction: str | None = None
    """What stands before all problems."""
    gen_kwargs: dict[str, Plain] = Field(default_factory=dict)
    """Arguments of generation in place of the task's."""
    confirm_run_unsafe_code: bool = False
    """Run what the models write: tasks of code, such as humaneval and mbpp, score a program by its tests, on
    this machine and with your rights. It sets HF_ALLOW_CODE_EVAL=1 too, which their metric asks for."""

    @field_validator("model_args")
    @classmethod
    def _of_the_user(cls, value: dict[str, Plain]) -> dict[str, Plain]:
        taken = sorted({"pretrained", "revision", "trust_remote_code"} & value.keys())
        if taken:
            raise ValueError(f"{', '.join(taken)} cannot be set: the arm decides, and remote code stays off")
        return value

    @field_validator("batch_size")
    @classmethod
    def _a_size(cls, value: int | str) -> int | str:
        if (isinstance(value, int) and value > 0) or (isinstance(value, str) and value.startswith("auto")):
            return value
        raise ValueError("expected a number above 0, auto or auto:N")
