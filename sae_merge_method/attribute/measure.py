"""What is measured of a text at one point: losses and slopes, group by group, kept as soon as they are there.

A measurement is a file in the hidden folder of what is done so far. Several processes share all measurements,
each makes those of its share that are missing, and an interrupted run does none of them twice.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from functools import cached_property, partial
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
from tqdm.auto import tqdm

from sae_merge_method.attribute.activations import moved
from sae_merge_method.attribute.losses import GroupLosses
from sae_merge_method.attribute.texts import Text
from sae_merge_method.corpora.batches import Batch
from sae_merge_method.errors import MergeError
from sae_merge_method.files.progress import Progress, undamaged
from sae_merge_method.files.writing import write_bytes
from sae_merge_method.in_memory.edited_model import EditedModel
from sae_merge_method.in_memory.losses import nats
from sae_merge_method.in_memory.weights import Weights, by_unit, everywhere
from sae_merge_method.loaded.passes import checkpointed
from sae_merge_method.loaded.text_model import TextModel
from sae_merge_method.together.workers import Workers

if TYPE_CHECKING:
    import torch

Floats = npt.NDArray[np.float64]

BACKWARD = 3
"""Forward passes that a forward and a backward pass cost."""


class Point(NamedTuple):
    """One measurement: of which text, what, and with which weights."""

    text: int
    """Number of the text: the target, then the controls."""
    kind: str
    """"loss", "slope" for the loss with its gradient, or "moved" for what the donor does to activations."""
    at: float = 0.0
    """Weight of the task vector, embeddings and head included."""
    layer: int | None = None
    """Where only one layer is injected, which; at weight one."""

    @property
    def name(self) -> str:
        """Of its file."""
        where = f"layer-{self.layer}" if self.layer is not None else f"at-{self.at.hex()}"
        return f"{self.text}-{self.kind}-{where}"

    @property
    def weights(self) -> Weights:
        """Those that it is measured with."""
        return everywhere(self.at) if self.layer is None else by_unit({self.layer: 1.0})


_NOTHING = np.zeros((0, 0))


class AtPoint(NamedTuple):
    """What was measured at one point: sums over each group's predicted tokens. What was not is empty."""

    losses: Floats = np.zeros(0)
    """(G,) nats."""
    slopes: Floats = _NOTHING
    """(G, tensors) ``<d nats / d theta_i, tau_i>``."""
    squares: Floats = _NOTHING
    """(G, tensors) sums of the squared norms of batches' gradients."""
    read: Floats = _NOTHING
    """(G, L) tokens whose activations were looked at; this and the next as in
    :class:`~sae_merge_method.attribute.activations.Moved`."""
    shift: Floats = _NOTHING
    """(G, L)"""
    lengths: Floats = _NOTHING
    """(G, L)"""


class Measurements:
    """All measurements of one attribution, made when they are first asked for."""

    def __init__(
        self,
        edited: EditedModel,
        texts: Sequence[Text],
        progress: Progress,
        workers: Workers,
        *,
        recompute: bool = False,
    ) -> None:
        """Begin with what an interrupted run left.

        Args:
            edited: The base in memory with one donor.
            texts: The target, then the controls.
            progress: Where measurements are kept.
            workers: This process among all.
            recompute: Compute activations again in the backward pass.
        """
        self._edited, self._texts, self._progress, self._workers = edited, texts, progress, workers
        self._recompute = recompute
        self._loaded: dict[Point, AtPoint] = {}

    def has(self, point: Point) -> bool:
        """Whether a measurement was made, now or by a run that was interrupted."""
        return self._file(point).is_file()

    def make(self, points: Sequence[Point]) -> Mapping[Point, AtPoint]:
        """Measurements at these points, those that are missing made by all processes together.

        All processes ask for the same points in the same order of calls, and wait for one another in each.

        Raises:
            ArtifactError: A kept measurement is damaged.
            MergeError: A weight file changed meanwhile, or a loss is no number.
        """
        # Points with the same weights follow one another: the weights are set once.
        order = sorted(
            set(points), key=lambda point: (point.layer is not None, point.layer or 0, point.at, point)
        )
        # Shared out before it is asked what stands: who comes late finds the others' work there, and would
        # share out another list than they.
        own = [point for point in self._workers.share_of(order) if not self.has(point)]
        if own:
            self._progress.begin()
            passes = sum(self._passes(point) for point in own)
            with tqdm(total=passes, desc="measuring", unit="pass", disable=None) as bar:
                for layer, of_layer in groupby(own, key=lambda point: point.layer):
                    self._edited.restore()
                    with self._losses.beginning_at(layer or 0):
                        at: float | None = None
                        for point in of_layer:
                            if at != point.at:
                                self._edited.set_weights(point.weights)
                                at = point.at  # as "moved" leaves them, too
                            self._keep(point, self._measure(point, bar.update))
            self._edited.restore()
        self._workers.wait()
        for point in order:
            if point not in self._loaded:
                self._loaded[point] = self._load(point)
        return {point: self._loaded[point] for point in points}

    @cached_property
    def _losses(self) -> GroupLosses:
        return GroupLosses(self._edited.model, self._texts, self._progress.folder, self._workers.size)

    def _passes(self, point: Point) -> int:
        text = self._texts[point.text]
        if point.kind == "moved":
            return 2 * len(text.groups)
        return BACKWARD * text.batches if point.kind == "slope" else len(text.whole)

    def _measure(self, point: Point, advance: Callable[[float], object]) -> AtPoint:
        text, n_tensors = self._texts[point.text], len(self._edited.tensors)
        if point.kind == "moved":
            measured = AtPoint(**moved(self._edited, text)._asdict())
            advance(2 * len(text.groups))
            return measured
        if point.kind == "loss":
            losses = self._losses.of(point.text)
            advance(len(text.whole))
            return AtPoint(_finite(losses, text, point))
        losses = np.zeros(len(text.groups))
        slopes = np.zeros((len(text.groups), n_tensors))
        squares = np.zeros_like(slopes)
        model = self._edited.model
        with checkpointed(list(model.blocks)) if self._recompute else nullcontext():
            for group, batches in enumerate(text.groups):
                for batch in batches:
                    dots = self._edited.dots(partial(_total, model, batch, share=not self._recompute))
                    losses[group] += dots.loss
                    slopes[group] += dots.values[:, 0]
                    squares[group] += dots.squares
                    advance(BACKWARD)
        return AtPoint(_finite(losses, text, point), _finite(slopes, text, point), squares)

    def _file(self, point: Point) -> Path:
        return self._progress.folder / f"{point.name}.safetensors"

    def _keep(self, point: Point, measured: AtPoint) -> None:
        from safetensors.numpy import save

        write_bytes(self._file(point), save(measured._asdict()))

    def _load(self, point: Point) -> AtPoint:
        from safetensors.numpy import load_file

        path = self._file(point)
        with undamaged(path):
            return AtPoint(**load_file(path))


def _finite(values: Floats, text: Text, point: Point) -> Floats:
    """What is no number is not kept: no later run would mend it."""
    if not np.isfinite(values).all():
        raise MergeError(
            f"{text.name}: the {point.kind} is not finite {_where(point)}: the donor may be damaged, or the "
            "dtype too narrow"
        )
    return values


def _where(point: Point) -> str:
    return f"with layer {point.layer} injected" if point.layer is not None else f"at weight {point.at:g}"


def _total(model: TextModel, batch: Batch, *, share: bool) -> "torch.Tensor":
    return nats(model, batch, share=share).sum()
