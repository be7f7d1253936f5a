"""``recipe.yml``: a mergekit recipe, read strictly.

mergekit passes over misspelt keys in silence, and reads a YAML list as a gradient; here both
are errors. The fields and their places are mergekit's own; those of the models that go in stand in
``recipe_models``. Which methods there are, and which parameters each takes, is not known here:
``recipe.methods`` reads recipes whole.
"""

from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import yaml
from pydantic import BeforeValidator, ConfigDict, Field, StrictInt, ValidationError, model_validator

from sae_merge_method.artifacts.recipe_models import ModelSource, Module, Slice, SourceParameters
from sae_merge_method.artifacts.schema import OneOf, Record, describe
from sae_merge_method.artifacts.strict_yaml import load_yaml
from sae_merge_method.errors import ArtifactError, RecipeError
from sae_merge_method.files.regular import read_regular_text
from sae_merge_method.models.parts import describe_parts
from sae_merge_method.models.rounding import DEFAULT, ROUNDINGS

RECIPE_FILE = "mergekit_config.yml"
"""In a merged folder, by mergekit's name: the recipe as it was run."""
EVIDENCE_KEY = "sae_evidence"
"""Under which a recipe keeps what its layers were chosen from: a diagnosis' scores, or an attribution's."""
CONTROL_KEY = "sae_control"
"""Under which a recipe keeps what it is a control for."""
TUNE_KEY = "sae_tune"
"""Under which a recipe keeps how its weights were found."""
Dtype = Literal["float32", "bfloat16", "float16", "float64"]


def _gate_text(value: Any) -> Any:
    if value is None or isinstance(value, str):
        return value
    raise ValueError(
        'expected one quoted string such as "9, 11-13": mergekit reads a YAML list as a gradient '
        "to interpolate over layers"
    )


def _one_word(value: Any) -> Any:
    if isinstance(value, str):
        return value
    raise ValueError("expected one word: mergekit reads a YAML list as a gradient over the layers")


GateText = Annotated[str | None, BeforeValidator(_gate_text)]


class Gate(Record):
    """Which decoder layers, or parts of them, are edited: decided, or computed from a diagnosis."""

    layers: GateText = Field(
        default=None,
        description='The layers to edit, such as "9, 11-13", or parts of them, such as "9, 11.attn, 13.mlp"; '
        f"null where a diagnosis decides. Of parts, {describe_parts()}; norms that stand between them are "
        "edited with whole layers alone.",
    )
    diagnosis: GateText = None
    """Folder or file of the diagnosis whose scores decide which layers to edit, or of the attribution, where
    score names one of its own; null for none."""
    score: GateText = None
    """A score that knows the donor, such as attributed_gain, of the attribution that diagnosis names; null
    for the diagnosis' own."""
    select: GateText = None
    """Rule that takes layers by those scores, such as top_k=6; null for none."""


RoundingName = Annotated[
    str,
    OneOf(ROUNDINGS),
    BeforeValidator(_one_word),
    Field(
        description="How edited values are rounded to the stored type: nearest, or stochastic, which keeps "
        "on average what is smaller than the type's step."
    ),
]
"""A setting of every command that writes a recipe."""
RoundingSeed = Annotated[
    StrictInt,
    Field(
        ge=0,
        lt=2**63,
        description="Seed of stochastic rounding; with it, a tensor's name and a value's position, the bytes "
        "are the same wherever they are computed.",
    ),
]
"""A setting of every command that writes a recipe."""
OutDtype = Annotated[
    Dtype | None,
    Field(
        description="dtype of the merged checkpoint; without it, the base's. float32 over bfloat16 keeps an "
        "edit whole, at twice the size."
    ),
]
"""A setting of every command that writes a recipe."""


class RoundingKeys(Record):
    """How edited values become values of the stored type: the same for every merge method."""

    rounding: RoundingName = DEFAULT
    rounding_seed: RoundingSeed = 0


class SharedParameters(Gate, RoundingKeys, SourceParameters):
    """Parameters of the whole recipe; a weight here serves donors that have none of their own.

    What else stands here belongs to the merge method.
    """

    model_config = ConfigDict(extra="allow")


class Control(Record):
    """What an arm of an experiment is there for."""

    name: str
    """Name of the arm."""
    controls_for: str
    """What the arm controls for, in a sentence."""
    energy: float = Field(ge=0)
    """Squared norm of what the arm injects, before rounding to the stored dtype."""
    realised_energy: float | None = Field(default=None, ge=0)
    """Squared norm of what is expected to be stored of that, rounding included; null where that was not
    looked at."""
    stethoscope_energy: float = Field(gt=0)
    """Squared norm of what the recipe under test injects, before rounding to the stored dtype."""


class Tokenizer(Record):
    """mergekit's newer form of ``tokenizer_source``, of which only the base's own tokenizer is taken."""

    source: Literal["base"]
    """Whose tokenizer to write."""


class Recipe(Record):
    """A whole recipe in any of mergekit's three forms."""

    merge_method: str
    """Name of the merge method."""
    base_model: str
    """The model that is edited: folder or Hub id[@revision]."""
    models: tuple[ModelSource, ...] | None = None
    """The input models, whole; null in another of mergekit's three forms."""
    slices: tuple[Slice, ...] | None = None
    """The runs of layers, in order; null in another of mergekit's three forms."""
    modules: dict[str, Module] | None = None
    """The modules of a multimodal model, by mergekit's names; null in another of mergekit's three forms."""
    parameters: SharedParameters = SharedParameters()
    """The gate, the merge method's own parameters, and a weight for donors that have none."""
    dtype: Dtype | None = None
    """dtype to compute in (mergekit-yaml) and, where out_dtype is null, to write; null for the base's."""
    out_dtype: Dtype | None = None
    """dtype of the written tensors; null for that of dtype."""
    tokenizer_source: Literal["base"] | None = None
    """Whose tokenizer to write. Only the base's own is taken, and copied as it is: another would change the
    embeddings."""
    tokenizer: Tokenizer | None = None
    """Whose tokenizer to write, in mergekit's newer form of tokenizer_source; null where it is not used."""
    chat_template: str | None = None
    """Chat template to write into the tokenizer's config; null for the base's."""
    sae_evidence: dict[str, Any] | None = None
    """What ``sae-merge recipe`` records of the scores that chose the layers, those of a diagnosis or of an
    attribution; mergekit ignores and preserves it."""
    sae_control: Control | None = None
    """What ``sae-merge controls`` records of an arm; mergekit ignores and preserves it."""

    sae_tune: dict[str, Any] | None = None
    """What ``sae-merge tune`` records of its search; mergekit ignores and preserves it."""

    @model_validator(mode="after")
    def _one_form(self) -> "Recipe":
        if sum(form is not None for form in (self.models, self.slices, self.modules)) != 1:
            raise ValueError("expected exactly one of models, slices, modules")
        return self

    @property
    def target_dtype(self) -> str | None:
        """dtype of the written tensors; None keeps the base's."""
        return self.out_dtype or self.dtype


def read_yaml(text: str, where: str, methods: Collection[str] | None = None) -> Recipe:
    """Read a recipe's YAML; its method and that method's parameters are taken as they are written.

    Args:
        text: The YAML source.
        where: How messages name its place.
        methods: The merge methods that can be run; None to take any.

    Raises:
        RecipeError: Not YAML, not a recipe, of another method, or a key or value that is not understood.
    """
    try:
        value = load_yaml(text)
    except (yaml.YAMLError, RecursionError) as error:
        raise RecipeError(f"{where} is not valid YAML: {error}") from error
    if not isinstance(value, dict):
        raise RecipeError(f"expected a mergekit recipe at {where}, got {type(value).__name__}")
    method = value.get("merge_method")
    if methods is not None and isinstance(method, str) and method not in methods:
        raise RecipeError(f"{where} is a `{method}` recipe; sae-merge runs {' and '.join(methods)}")
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


def read_recipe_text(path: Path, *, by_user: bool = False) -> str:
    """The recipe file's text.

    Args:
        path: Where it lies.
        by_user: Whether the user named it, who may mean a pipe; what lies in a folder must be a file.

    Raises:
        ArtifactError: Missing, no regular file, or not UTF-8.
    """
    read = Path.read_text if by_user else read_regular_text
    try:
        return read(path, encoding="utf-8-sig")  # PowerShell begins a file with a mark
    except OSError as error:
        raise ArtifactError(f"cannot read a recipe at {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ArtifactError(f"expected a recipe (YAML, UTF-8) at {path}: {error}") from error
