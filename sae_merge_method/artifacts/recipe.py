"""``recipe.yml``: a mergekit recipe, read strictly.

mergekit passes over misspelt keys in silence, and reads a YAML list as a gradient; here both
are errors. The fields and their places are mergekit's own. Which methods there are, and which
parameters each takes, is not known here: ``recipe.methods`` reads recipes whole.
"""

from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import yaml
from pydantic import BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from sae_merge_method.artifacts.schema import Record, describe
from sae_merge_method.errors import ArtifactError, RecipeError

RECIPE_FILE = "mergekit_config.yml"
"""In a merged folder, by mergekit's name: the recipe as it was run."""
DIAGNOSIS_KEY = "sae_diagnosis"
CONTROL_KEY = "sae_control"
Dtype = Literal["float32", "bfloat16", "float16", "float64"]


def _gate_text(value: Any) -> Any:
    if value is None or isinstance(value, str):
        return value
    raise ValueError(
        'expected one quoted string such as "9, 11-13": mergekit reads a YAML list as a gradient '
        "to interpolate over layers"
    )


GateText = Annotated[str | None, BeforeValidator(_gate_text)]


class Conditional(Record):
    """mergekit's conditional parameter: a value for the tensors whose name contains ``filter``."""

    value: float | tuple[float, ...]
    filter: str | None = None


Setting = float | Conditional | tuple[float, ...] | tuple[Conditional, ...]
"""mergekit's parameter setting: a number, a gradient over layers, or conditional values."""


def _weight_setting(value: Any) -> Any:
    entries = value if isinstance(value, list) else [value]
    if entries and all(isinstance(entry, dict) for entry in entries):
        return value
    if entries and all(type(entry) in (int, float) for entry in entries):
        return value
    raise ValueError("expected a number, a list of numbers (a gradient), or a list of {filter, value}")


Weight = Annotated[Setting, BeforeValidator(_weight_setting)]


class SourceParameters(Record):
    """Parameters of one donor."""

    weight: Weight | None = None


class Gate(Record):
    """Which decoder layers are edited: decided, or computed from a diagnosis."""

    layers: GateText = None
    """The layers, decided, such as "9, 11-13"."""
    diagnosis: GateText = None
    """Folder or file of the diagnosis whose scores decide, with ``select``."""
    select: GateText = None
    """Rule by which the diagnosis' scores decide, such as top_k=6."""


class SharedParameters(Gate, SourceParameters):
    """Parameters of the whole recipe; a weight here serves donors that have none of their own.

    What else stands here belongs to the merge method.
    """

    model_config = ConfigDict(extra="allow")


class ModelSource(Record):
    """One input model."""

    model: str
    parameters: SourceParameters | None = None


class SliceSource(ModelSource):
    """One input model's share of a slice."""

    layer_range: tuple[int, int]


class Slice(Record):
    """A run of layers and who contributes to it."""

    sources: tuple[SliceSource, ...] = Field(min_length=1)
    parameters: SourceParameters | None = None


class Module(Record):
    """One module of a multimodal model."""

    models: tuple[ModelSource, ...] | None = None
    slices: tuple[Slice, ...] | None = None
    parameters: SourceParameters | None = None

    @model_validator(mode="after")
    def _one_form(self) -> "Module":
        if bool(self.models) == bool(self.slices):
            raise ValueError("expected exactly one of models, slices")
        return self


class Control(Record):
    """What an arm of an experiment is there for."""

    name: str
    controls_for: str
    energy: float = Field(ge=0)
    """Squared norm of what the arm injects, before rounding to the stored dtype."""
    stethoscope_energy: float = Field(gt=0)
    """The same for the recipe that it is a control of."""


class Recipe(Record):
    """A whole recipe in any of mergekit's three forms."""

    merge_method: str
    base_model: str
    models: tuple[ModelSource, ...] | None = None
    slices: tuple[Slice, ...] | None = None
    modules: dict[str, Module] | None = None
    parameters: SharedParameters = SharedParameters()
    dtype: Dtype | None = None
    out_dtype: Dtype | None = None
    tokenizer_source: Literal["base"] | None = None
    """Only the base's own tokenizer: another would change the embeddings."""
    chat_template: str | None = None
    sae_diagnosis: dict[str, Any] | None = None
    """What ``sae-merge recipe`` records of the diagnosis; mergekit ignores and preserves it."""
    sae_control: Control | None = None
    """What ``sae-merge controls`` records of an arm; likewise."""

    @model_validator(mode="after")
    def _one_form(self) -> "Recipe":
        if sum(form is not None for form in (self.models, self.slices, self.modules)) != 1:
            raise ValueError("expected exactly one of models, slices, modules")
        return self

    @property
    def target_dtype(self) -> str | None:
        """dtype of the written tensors; None keeps the base's."""
        return self.out_dtype or self.dtype


def read_yaml(text: str, where: str) -> Recipe:
    """Read a recipe's YAML; its method and that method's parameters are taken as they are written.

    Args:
        text: The YAML source.
        where: How messages name its place.

    Raises:
        RecipeError: Not YAML, not a recipe, or a key or value that is not understood.
    """
    try:
        value = yaml.load(text, Loader=_StrictLoader)
    except (yaml.YAMLError, RecursionError) as error:
        raise RecipeError(f"{where} is not valid YAML: {error}") from error
    if not isinstance(value, dict):
        raise RecipeError(f"expected a mergekit recipe at {where}, got {type(value).__name__}")
    try:
        return Recipe.model_validate(value)
    except ValidationError as error:
        raise RecipeError(f"{where} cannot be read as a recipe:\n{describe(error)}") from error


class RecipeText(NamedTuple):
    """A recipe as somebody wrote it."""

    text: str
    """YAML."""
    where: str
    """How messages name it."""


AnyRecipe = str | Path | RecipeText
"""A recipe as a caller has it: its file, ``hf://OWNER/NAME[@REVISION]/FILE``, or what it holds."""


def read_recipe_text(path: Path) -> str:
    """The recipe file's text.

    Raises:
        ArtifactError: Missing or not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ArtifactError(f"cannot read a recipe at {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ArtifactError(f"expected a recipe (YAML text) at {path}: {error}") from error


class _StrictLoader(yaml.SafeLoader):
    """safe_load, but a key written twice is an error instead of the last one winning."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "expected a plain key", key.start_mark)
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} stands here twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep=deep)
