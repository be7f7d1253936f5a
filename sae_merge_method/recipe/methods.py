"""Our merge methods, a row each: what a method is called, which parameters it takes, what it adds.

All of them edit the tensors of the selected layers alike, ``base + F(sum_i alpha_i (donor_i - base))``, and
differ in ``F``. So a row is all that either engine, an audit or a model card needs to know of one.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from sae_merge_method.artifacts.method_parameters import Scalar, ScalpelParameters, StethoscopeParameters
from sae_merge_method.artifacts.recipe import Gate, Recipe, read_yaml
from sae_merge_method.artifacts.schema import Record, describe
from sae_merge_method.errors import RecipeError
from sae_merge_method.recipe.gate import lacks_rule, names_all
from sae_merge_method.recipe.scalpel import Scalpel, sae_folders, scalpel_parameters

PAPER = "https://arxiv.org/abs/2605.28649"

Floats = npt.NDArray[np.floating]
Filter = Callable[[str, Floats], Floats | None]
"""From a tensor's name and its weighted task vector to what is added in its place, None for nothing.

The task vector is contiguous, float32 or float64, and its memory may be used. Several threads may call it.
"""

Parameters = TypeVar("Parameters", bound=Record)


@dataclass(frozen=True)
class MergeMethod(Generic[Parameters]):
    """One merge method."""

    title: str
    """Its name on model cards."""
    description: str
    """What it adds to the base, for help texts."""
    effect: str
    """What happens to the tensors of the selected layers, as a sentence without its full stop."""
    formula: str
    """What an edited tensor became before it was written, in Markdown, for a model card."""
    parameters: type[Parameters]
    """What it takes beside the gate and the donors' weights."""
    factor: Callable[[Parameters], float] = lambda parameters: 1.0
    """What scales every weight, for a method that is nothing but a scale: then it has no ``filter``."""
    filter: Callable[[Parameters, Sequence[int]], Filter] | None = None
    """From parameters and selected layers to what becomes of task vectors; None where they are added as
    they are. All it will read is found before it returns."""
    needs: str = ""
    """What it reads beside models and diagnosis, for ``recipe check``; nothing where empty."""
    folders: Callable[[Parameters, Sequence[int]], Iterable[Path]] = lambda parameters, layers: ()
    """From parameters and selected layers to the folders that it reads beside models and diagnosis."""
    completed: Callable[[Mapping[str, Scalar], Path, int], dict[str, Scalar]] = (
        lambda given, diagnosis, d_model: dict(given)
    )
    """From given parameters, a diagnosis' file and the model's width to those that a recipe made from that
    diagnosis is written with."""
    reference: str = PAPER
    """Where it is described."""


METHODS: dict[str, MergeMethod[Any]] = {
    "sae_stethoscope": MergeMethod(
        title="SAE Stethoscope",
        description="the raw task vector",
        effect="Their tensors become base + weight * (donor - base)",
        formula="`base + weight * (donor - base)`, the raw task vector, computed in float32",
        parameters=StethoscopeParameters,
        # The squared norm grows with the square of the weight.
        factor=lambda parameters: math.sqrt(parameters.energy),
    ),
    "sae_scalpel": MergeMethod(
        title="SAE Scalpel",
        description="only what SAE features span of the task vector",
        effect="Their tensors receive only a part of weight * (donor - base), filtered by SAE features",
        formula="the base plus a part of the task vector, filtered by directions of sparse-autoencoder "
        "features",
        parameters=ScalpelParameters,
        filter=lambda parameters, layers: Scalpel(parameters, layers).filter,
        needs="every SAE and every feature that the scalpel needs",
        folders=sae_folders,
        completed=scalpel_parameters,
    ),
}
"""By the recipe's ``merge_method``."""


def method_named(name: str) -> MergeMethod[Any]:
    """The method of that name.

    Raises:
        RecipeError: There is none; the message lists the names.
    """
    if name not in METHODS:
        raise RecipeError(f"merge_method: expected {' or '.join(METHODS)}, got {name!r}")
    return METHODS[name]


def validated_parameters(name: str, given: Mapping[str, Any]) -> Record:
    """A method's parameters as typed values, of the method's own record.

    Raises:
        RecipeError: No such method, or a parameter that it does not know or cannot take.
    """
    try:
        return method_named(name).parameters.model_validate(given)  # type: ignore[no-any-return]
    except ValidationError as error:
        raise RecipeError(f"{name} cannot take its parameters:\n{describe(error)}") from error


def written_parameters(recipe: Recipe) -> dict[str, Scalar]:
    """The method's own parameters as the recipe writes them, without defaults."""
    written: dict[str, Scalar] = dict(recipe.parameters.model_extra or {})
    if recipe.parameters.diagnosis is not None and _reads_diagnosis(method_named(recipe.merge_method)):
        written["diagnosis"] = recipe.parameters.diagnosis
    return written


def parameters_of(recipe: Recipe) -> Record:
    """The method's own parameters, typed and with their defaults.

    Raises:
        RecipeError: One that it does not know or cannot take.
    """
    return validated_parameters(recipe.merge_method, written_parameters(recipe))


def filter_of(recipe: Recipe, layers: Sequence[int]) -> Filter | None:
    """What becomes of task vectors in the selected layers; None where they are added as they are.

    Raises:
        SaeMergeError: Something that the method reads, such as an SAE, is missing or does not fit.
    """
    make = method_named(recipe.merge_method).filter
    return None if make is None else make(parameters_of(recipe), layers)


def folders_of(recipe: Recipe, layers: Sequence[int]) -> tuple[Path, ...]:
    """The folders that a recipe's method reads beside models and diagnosis.

    Raises:
        SaeMergeError: Something that the method reads, such as an SAE, is missing.
    """
    return tuple(method_named(recipe.merge_method).folders(parameters_of(recipe), layers))


def require_rule(name: str, gate: Gate) -> None:
    """A diagnosis that the method has no use for itself must decide the layers, by a rule.

    Raises:
        RecipeError: There is no rule.
    """
    if gate.diagnosis is not None and gate.select is None and not _reads_diagnosis(method_named(name)):
        raise lacks_rule(gate)


def needs_depth(name: str, gate: Gate) -> bool:
    """Whether a recipe has to be told how many layers the base has, as mergekit tells no method.

    A gate that names all lets every layer through that comes by. But what reads files of each layer, or
    compares layers with a rule's, needs to know which there are.
    """
    return names_all(gate) and (method_named(name).filter is not None or gate.select is not None)


def parse_recipe(text: str, where: str) -> Recipe:
    """Read a recipe's YAML, and hold its parameters against its method's.

    Args:
        text: The YAML source.
        where: How messages name its place.

    Raises:
        RecipeError: Not YAML, not a recipe of ours, or a key or value that is not understood.
    """
    recipe = read_yaml(text, where, METHODS)
    try:
        method_named(recipe.merge_method).parameters.model_validate(written_parameters(recipe))
        require_rule(recipe.merge_method, recipe.parameters)
    except ValidationError as error:
        faults = describe(error, inside=("parameters",))
        raise RecipeError(f"{where} cannot be read as a recipe:\n{faults}") from error
    except RecipeError as error:
        raise RecipeError(f"{where} cannot be read as a recipe:\n  {error}") from error
    return recipe


def _reads_diagnosis(method: MergeMethod[Any]) -> bool:
    return "diagnosis" in method.parameters.model_fields
