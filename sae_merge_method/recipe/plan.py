"""What a recipe means, once its form no longer matters: who gives what to which layer.

mergekit's three forms (``models``, ``slices``, ``modules``), its filters and its gradients on
``weight`` are resolved here, by mergekit's own rules, to plain numbers per layer.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from sae_merge_method.artifacts.method_parameters import Scalar
from sae_merge_method.artifacts.recipe import Recipe
from sae_merge_method.artifacts.recipe_models import (
    Conditional,
    ModelSource,
    Setting,
    Slice,
    SourceParameters,
)
from sae_merge_method.errors import RecipeError
from sae_merge_method.layers import LayerModule, Unit, format_layers, layer_of, layers_of, open_parts, unit_of
from sae_merge_method.models.rounding import NEAREST, Rounding
from sae_merge_method.models.tensor_names import LayerPart
from sae_merge_method.recipe.methods import method_named, parameters_of, written_parameters
from sae_merge_method.recipe.pin import refuse_twice
from sae_merge_method.recipe.precision import rounding_of

TEXT_MODULE = "text_decoder"
"""mergekit's name for the text decoder among a multimodal model's modules."""
_DEFAULT_WEIGHT = 1.0


@dataclass(frozen=True)
class Donation:
    """One donor's task vector in one layer."""

    model: str
    weights: tuple[tuple[str | None, float], ...]
    """(filter, alpha) in order of precedence; the last filter is None and always matches."""

    def alpha(self, tensor_name: str) -> float:
        """Factor of this donor's task vector for one tensor."""
        return next(value for part, value in self.weights if part is None or part in tensor_name)

    def scaled(self, factor: float) -> "Donation":
        """The same with every alpha times ``factor``."""
        return Donation(self.model, tuple((part, alpha * factor) for part, alpha in self.weights))


@dataclass(frozen=True)
class EditPlan:
    """The whole edit: a layer not in ``donations`` stays the base's, of one in ``parts`` all but these do."""

    merge_method: str
    base: str
    donations: Mapping[int, tuple[Donation, ...]]
    """By layer that is selected, whole or in part: at least one donor each."""
    dtype: str | None
    """dtype of the written tensors; None keeps the base's."""
    parameters: Mapping[str, Scalar] = field(default_factory=dict)
    """What the merge method still needs to know, as the recipe writes it."""
    rounding: Rounding = NEAREST
    """How edited values are rounded to the written dtype."""
    parts: Mapping[int, frozenset[str]] = field(default_factory=dict)
    """By layer that is selected in part alone: its selected parts."""

    @cached_property
    def layers(self) -> tuple[Unit, ...]:
        """What is selected, layers and parts of layers, in the order of depth."""
        return tuple(unit for layer in sorted(self.donations) for unit in self._units(layer))

    def _units(self, layer: int) -> Sequence[Unit]:
        parts = self.parts.get(layer)
        return (layer,) if parts is None else [LayerModule(layer, part) for part in sorted(parts)]

    @property
    def donors(self) -> tuple[str, ...]:
        """The donors as the recipe names them, in the order of their first layer."""
        layers = sorted(self.donations)
        return tuple(dict.fromkeys(each.model for layer in layers for each in self.donations[layer]))

    def layers_of(self, donor: str) -> tuple[Unit, ...]:
        """What a donor gives to, in the order of depth."""
        giving = {layer for layer, donors in self.donations.items() if any(o.model == donor for o in donors)}
        return tuple(unit for unit in self.layers if layer_of(unit) in giving)

    def donations_to(self, tensor: LayerPart) -> tuple[Donation, ...]:
        """Who gives to a tensor of a layer; nobody where it is not selected."""
        return () if unit_of(self.layers, tensor) is None else self.donations[tensor.layer]


def plan_edit(recipe: Recipe, layers: Collection[Unit], n_layers: int) -> EditPlan:
    """Resolve a recipe.

    Args:
        recipe: Read and checked by itself.
        layers: What is selected (see ``gate.selected_layers``).
        n_layers: Decoder layers of the base.

    Raises:
        RecipeError: See :func:`donations_of`.
    """
    method = method_named(recipe.merge_method)
    # What only scales the task vector is folded into alpha here, so that whoever carries the plan out
    # knows nothing of it.
    factor = method.factor(parameters_of(recipe))
    donations = {
        layer: tuple(donation.scaled(factor) for donation in donations)
        for layer, donations in donations_of(recipe, layers, n_layers).items()
    }
    parameters = {} if method.filter is None else written_parameters(recipe)
    return EditPlan(
        recipe.merge_method,
        recipe.base_model,
        donations,
        recipe.target_dtype,
        parameters,
        rounding_of(recipe.parameters),
        open_parts(layers),
    )


_Offers = dict[int, tuple[Donation, ...]]
_Scopes = tuple[SourceParameters | None, ...]


def donations_of(recipe: Recipe, layers: Collection[Unit], n_layers: int) -> _Offers:
    """Who gives to each layer that is selected, whole or in part, with the weights that the recipe writes.

    Args:
        recipe: Read and checked by itself.
        layers: What is selected.
        n_layers: Decoder layers of the base.

    Raises:
        RecipeError: A layer is open and has no donor, or slices do not keep the base's layers
            in their places.
    """
    shared = recipe.parameters
    if recipe.models is not None:
        offered = _from_models(recipe.base_model, recipe.models, (shared,), n_layers)
    elif recipe.slices is not None:
        offered = _from_slices(recipe.base_model, recipe.slices, (shared,), n_layers)
    else:
        offered = _from_modules(recipe, n_layers)
    without = [layer for layer in layers_of(layers) if not offered.get(layer)]
    if without:
        raise RecipeError(
            f"layers {format_layers(without)} are selected, but the recipe names no donor for them beside "
            f"the base itself, {recipe.base_model}"
        )
    return {layer: offered[layer] for layer in layers_of(layers)}


def _from_models(base: str, models: Sequence[ModelSource], scopes: _Scopes, n_layers: int) -> _Offers:
    refuse_twice([source.model for source in models])
    donors = [source for source in models if source.model != base]
    return {
        layer: tuple(_donation(donor, scopes, _position(layer, n_layers)) for donor in donors)
        for layer in range(n_layers)
    }


def _from_slices(base: str, slices: Sequence[Slice], scopes: _Scopes, n_layers: int) -> _Offers:
    offers: _Offers = {}
    reached = 0
    for number, part in enumerate(slices):
        refuse_twice([source.model for source in part.sources])
        first, last = next((s.layer_range for s in part.sources if s.model == base), (-1, -1))
        if first != reached or last < first or any(s.layer_range != (first, last) for s in part.sources):
            raise RecipeError(
                f"slices.{number}: expected every source, the base among them, to go on at layer {reached}: "
                "this method edits layers in their places, it does not restack them"
            )
        donors = [source for source in part.sources if source.model != base]
        for index in range(last - first):
            where = _position(index, last - first)
            offers[first + index] = tuple(
                _donation(donor, (part.parameters, *scopes), where) for donor in donors
            )
        reached = last
    if reached != n_layers:
        raise RecipeError(f"slices end at layer {reached}, the base has {n_layers}")
    return offers


def _from_modules(recipe: Recipe, n_layers: int) -> _Offers:
    modules = recipe.modules or {}
    if TEXT_MODULE not in modules:
        raise RecipeError(f"modules: expected {TEXT_MODULE} among them, got {', '.join(modules)}")
    for name, module in modules.items():
        slice_sources = [source for part in module.slices or () for source in part.sources]
        others = {source.model for source in (*(module.models or ()), *slice_sources)} - {recipe.base_model}
        if name != TEXT_MODULE and others:
            raise RecipeError(
                f"modules.{name}: only the base can stand here, got {', '.join(sorted(others))}: "
                f"the gate speaks of {TEXT_MODULE} alone"
            )
    text = modules[TEXT_MODULE]
    scopes = (text.parameters, recipe.parameters)
    if text.models is not None:
        return _from_models(recipe.base_model, text.models, scopes, n_layers)
    return _from_slices(recipe.base_model, text.slices or (), scopes, n_layers)


def _donation(source: ModelSource, scopes: _Scopes, position: float) -> Donation:
    weights: list[tuple[str | None, float]] = []
    for scope in (source.parameters, *scopes):
        if scope is not None and scope.weight is not None:
            weights += _resolve(scope.weight, position)
        if weights and weights[-1][0] is None:
            break  # nothing of lower precedence can be reached
    else:
        weights.append((None, _DEFAULT_WEIGHT))
    return Donation(source.model, tuple(weights))


def _resolve(setting: Setting, position: float) -> list[tuple[str | None, float]]:
    """mergekit's ``evaluate_setting`` for a float parameter, before the tensor's name is known."""
    if isinstance(setting, Conditional):
        setting = (setting,)
    if isinstance(setting, tuple) and isinstance(setting[0], Conditional):
        conditions = [entry for entry in setting if isinstance(entry, Conditional)]
        return [
            (None if entry.filter in (None, "*") else entry.filter, _gradient(entry.value, position))
            for entry in conditions
        ]
    assert isinstance(setting, (int, float, tuple))
    return [(None, _gradient(setting, position))]  # type: ignore[arg-type]


def _gradient(value: float | tuple[float, ...], position: float) -> float:
    if not isinstance(value, tuple):
        return value
    scaled = position * (len(value) - 1)
    low = int(scaled)
    high = min(len(value) - 1, low + 1)
    share = scaled - low
    return (1 - share) * value[low] + share * value[high]


def _position(index: int, length: int) -> float:
    """Where in its slice a layer stands, 0 to 1; mergekit puts a lone layer at the end."""
    return index / (length - 1) if length > 1 else 1.0
