"""The subspace of the residual stream that a scalpel recipe means, layer by layer.

Which features (written out, or ranked from a diagnosis), where their decoder directions lie, and
the basis of their span (or of a random subspace of the same rank). What is done with the subspace
is not decided here.
"""

import logging
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from threading import Lock

from sae_merge_method.artifacts.diagnosis import Diagnosis, diagnosis_path, read_diagnosis
from sae_merge_method.artifacts.layer_diagnosis import SaeSource
from sae_merge_method.artifacts.method_parameters import ScalpelParameters
from sae_merge_method.artifacts.usage import UsageReader
from sae_merge_method.errors import RecipeError, SaeError, UsageError
from sae_merge_method.geometry.basis import Basis, orthonormal_basis, random_basis
from sae_merge_method.layers import LayerModule, format_layers, named_units, parse_layers
from sae_merge_method.models.family import Side
from sae_merge_method.saes.find import SaeAddress, find_sae
from sae_merge_method.saes.opening import open_sae
from sae_merge_method.saes.ranking import rank_features
from sae_merge_method.saes.sae import Sae
from sae_merge_method.saes.same import why_another

LOG = logging.getLogger(__name__)


def parse_features(text: str, layers: Iterable[int]) -> dict[int, tuple[int, ...]]:
    """Read ``"9: 3, 17, 100-110; 11: 4"``, or ``"3, 17"`` where only one layer is concerned.

    Args:
        text: Features as the recipe writes them.
        layers: The layers that need features.

    Raises:
        RecipeError: Malformed, a layer without features, or features of a layer that needs none.
    """
    needed = sorted(set(layers))
    parts = text.split(";")
    if len(parts) == 1 and ":" not in text:
        if len(needed) != 1:
            raise RecipeError(
                f"features: {text!r} does not say of which layer: expected "
                f'"{needed[0]}: 3, 17; {needed[-1]}: 4" for layers {format_layers(needed)}'
            )
        parts = [f"{needed[0]}: {text}"]
    features: dict[int, tuple[int, ...]] = {}
    for part in parts:
        name, colon, listed = part.partition(":")
        try:
            (layer,) = parse_layers(name)
            if not colon or layer in features:
                raise ValueError
            features[layer] = parse_layers(listed)
        except (UsageError, ValueError):
            raise RecipeError(
                f'features: expected "9: 3, 17, 100-110; 11: 4", each layer once, got {part.strip()!r} '
                f"in {text!r}"
            ) from None
    if sorted(features) != needed:
        raise RecipeError(
            f"features: expected features for layers {format_layers(needed)}, got {format_layers(features)}"
        )
    return features


def ranked_features(diagnosis: str, layer: int, count: int) -> tuple[int, ...]:
    """The ``count`` features of a layer that are most selective for the target.

    Args:
        diagnosis: Diagnosis file or folder, relative to the working folder.
        layer: Which layer.
        count: How many.

    Raises:
        ArtifactError: No feature usage beside the diagnosis, or none of this layer.
        SaeError: The layer's SAE has fewer features.
    """
    usage = UsageReader(diagnosis_path(Path(diagnosis)).parent)
    ranking = rank_features(usage.layer(layer), usage.documents)
    if count > len(ranking.features):
        raise SaeError(
            f"rank: {count} asks for more features than the SAE of layer {layer} has "
            f"({len(ranking.features)})"
        )
    unselective = int((ranking.selectivity[:count] <= 0).sum())
    if unselective:
        LOG.warning(
            "layer %d: only %d features prefer the target text; %d of the %d chosen do not",
            layer, count - unselective, unselective, count,
        )  # fmt: skip
    return tuple(int(feature) for feature in ranking.features[:count])


_KEPT_BASES = 64
"""Bases held at once; a merge asks for one layer's again with each of its tensors."""


class Subspaces:
    """One subspace a layer. Bases are computed when first asked for, once."""

    def __init__(self, parameters: ScalpelParameters, layers: Sequence[int]) -> None:
        """Nothing is read yet.

        Args:
            parameters: What the recipe says.
            layers: The layers to edit or measure.
        """
        self.parameters = parameters
        self.layers = tuple(sorted(layers))
        self._saes: dict[int, Sae] = {}
        self._features: dict[int, tuple[int, ...]] = {}
        self._bases: OrderedDict[int, Basis] = OrderedDict()
        self._computing = Lock()

    @property
    def sources(self) -> tuple[int, ...]:
        """The layers whose SAEs are needed: the layers themselves and, for read_from: previous,
        those before them.

        Raises:
            RecipeError: Layer 0 would need the SAE of the embeddings.
        """
        if self.parameters.read_from == "own":
            return self.layers
        if 0 in self.layers:
            raise RecipeError(
                "read_from: previous cannot serve layer 0, which reads the embeddings: "
                "take layer 0 out, or use read_from: own"
            )
        return tuple(sorted({*self.layers, *(layer - 1 for layer in self.layers)}))

    def source(self, layer: int, side: Side) -> int:
        """The layer whose SAE filters a tensor of ``layer`` on that side of it."""
        return layer - 1 if side == "read" and self.parameters.read_from == "previous" else layer

    def check(self) -> None:
        """Find every SAE and every feature, from headers and the diagnosis alone.

        Raises:
            RefusedSaeError: An SAE is of a kind that cannot be used, or of another layer.
            SaeError: An SAE is missing, of another width than the others, another one than was diagnosed, or
                lacks a feature.
            RecipeError: The features listed do not fit the layers.
            ArtifactError: The diagnosis or its feature usage cannot be read.
        """
        widths = {self.sae(layer).d_in for layer in self.sources}
        if len(widths) > 1:
            raise SaeError(f"expected SAEs of one width, found directions of width {sorted(widths)}")
        for layer in self.sources:
            self._check_features(layer)

    def basis(self, layer: int) -> Basis:
        """The subspace that belongs to one layer's SAE; random for mode: random."""
        with self._computing:  # whoever comes meanwhile waits for it rather than compute it too
            if layer not in self._bases:
                basis = self._span(layer)
                if self.parameters.mode == "random":
                    basis = random_basis(basis.d, basis.rank, (self.parameters.seed, layer))
                self._bases[layer] = basis
                if len(self._bases) > _KEPT_BASES:
                    self._bases.popitem(last=False)
            return self._bases[layer]

    def features(self, layer: int) -> tuple[int, ...]:
        """The features that span the layer's subspace."""
        if layer not in self._features:
            asked = self.parameters
            if asked.features is not None:
                self._features.update(parse_features(asked.features, self.sources))
            else:
                assert asked.diagnosis is not None and asked.rank is not None  # the schema's rule
                self._features[layer] = ranked_features(asked.diagnosis, layer, asked.rank)
        return self._features[layer]

    def address(self, layer: int) -> SaeAddress:
        """Where the layer's SAE lies: as the recipe says, or the diagnosis."""
        if self.parameters.sae is not None:
            return find_sae(self.parameters.sae, self.parameters.sae_id, layer)
        source = self._diagnosed(layer)
        return find_sae(source.release, source.id or None, layer)

    def sae(self, layer: int) -> Sae:
        """The layer's SAE."""
        if layer not in self._saes:
            width = self._diagnosis.model.d_model if self.parameters.sae is None else None
            self._saes[layer] = open_sae(self.address(layer), width)
        return self._saes[layer]

    def _span(self, layer: int) -> Basis:
        basis = orthonormal_basis(self.sae(layer).directions(self.features(layer)))
        if basis.rank < min(basis.directions, basis.d):
            LOG.warning(
                "layer %d: the directions of %d features span %d dimensions; the others are parallel "
                "to them or depend on them",
                layer, basis.directions, basis.rank,
            )  # fmt: skip
        return basis

    def _check_features(self, layer: int) -> None:
        sae, features = self.sae(layer), self.features(layer)
        rank = self.parameters.rank
        if rank is not None and rank > sae.d_in:
            raise RecipeError(f"rank: {rank} is more than the residual stream's {sae.d_in} dimensions")
        if self.parameters.diagnosis is not None and self.parameters.rank is not None:
            self._require_diagnosed(layer, sae)
        sae.directions((max(features),))  # the one that a smaller SAE would lack

    def _require_diagnosed(self, layer: int, sae: Sae) -> None:
        """Features that the diagnosis ranks mean nothing in another SAE.

        Raises:
            SaeError: The layer's SAE is another one than was diagnosed.
        """
        diagnosed = self._diagnosed(layer)
        why = why_another(sae, diagnosed, str(self._diagnosis.settings.get("dtype")))
        if why is not None:
            place = f"{diagnosed.release} {diagnosed.id}".rstrip()
            raise SaeError(
                f"the SAE {sae.address} is another one than layer {layer} was diagnosed with ({place}): "
                f"{why}; their features are not the same (diagnose with this one, or list features:)"
            )

    def _diagnosed(self, layer: int) -> SaeSource:
        for entry in self._diagnosis.layers:
            if entry.unit == layer:
                return entry.sae
        diagnosed = self._diagnosis.units
        if any(isinstance(unit, LayerModule) for unit in diagnosed):
            raise SaeError(
                f"{self.parameters.diagnosis} is of {named_units(diagnosed)}: what an SAE of attention or of "
                "an MLP reads is not what the layer's matrices read, so a scalpel needs SAEs of the residual "
                f"stream, that of layer {layer}'s output"
            )
        raise SaeError(
            f"{self.parameters.diagnosis} has no SAE of layer {layer}: it diagnosed "
            f"layers {format_layers(diagnosed)}"
        )

    @cached_property
    def _diagnosis(self) -> Diagnosis:
        assert self.parameters.diagnosis is not None  # asked only where it is given
        return read_diagnosis(Path(self.parameters.diagnosis))
