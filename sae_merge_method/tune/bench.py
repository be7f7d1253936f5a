"""Edits measured in memory: losses of every text, and how fast they change with every weight."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from sae_merge_method.corpora.batches import Batch
from sae_merge_method.errors import MergeError
from sae_merge_method.in_memory.edited_model import EditedModel
from sae_merge_method.in_memory.losses import nats, total_nats
from sae_merge_method.in_memory.weights import Round, nearest
from sae_merge_method.statistics.losses import RatioChange, paired_ratio
from sae_merge_method.together.workers import ALONE, Workers
from sae_merge_method.tune.edit import Edit, Shape
from sae_merge_method.tune.splits import SEARCH, Side, Split, in_groups
from sae_merge_method.tune.store import Store, key_of

if TYPE_CHECKING:
    import torch


LOSSES, SLOPES = "losses", "slopes"
"""Kinds of measurement."""


class MeasuredEdit(NamedTuple):
    """An edit on one part beside the base."""

    edit: Edit
    part: str
    target: RatioChange
    """Change of the loss on the target, in nats a token: below 0 is gain."""
    controls: tuple[RatioChange, ...]
    """The same on each control: above 0 is damage."""
    worst: int
    """Number of the control with the largest damage."""
    target_nats: tuple[float, ...]
    """Of every problem; where sources are named, of every source of problems."""
    control_nats: tuple[tuple[float, ...], ...]
    """Of every text of each control, or of every source, alike."""

    @property
    def gain(self) -> float:
        """Nats a token that the target loses."""
        return -self.target.delta

    @property
    def damage(self) -> float:
        """Nats a token that the control harmed most gains."""
        return self.controls[self.worst].delta


class Slopes(NamedTuple):
    """Losses and how fast they change with each weight, on some of the search part."""

    target: float
    """Nats a token."""
    control: float
    """Change against the base of the mean over controls, in nats a token."""
    by_target: Shape
    """(donors, layers) d target / d weight; (donors, layers, parts) by module."""
    by_control: Shape
    """Alike, of the mean over controls."""


class Bench:
    """A base in memory with its donors, and texts to measure edits on.

    Args:
        edited: The model.
        splits: The texts to search, choose and report on, by name.
        store: What is known already.
        step: Tokens of target, and of each control, that slopes are told from.
        advance: Called after each measurement.
        rounded: What files will hold of an edited tensor.
        workers: This process among all that share the measurements.
    """

    def __init__(
        self,
        edited: EditedModel,
        splits: Mapping[str, Split],
        store: Store,
        step: int,
        advance: Callable[[], object] = lambda: None,
        rounded: Round = nearest,
        workers: Workers = ALONE,
    ) -> None:
        self.n_donors, self.n_layers = edited.n_donors, len(edited.model.blocks)
        self.base = Edit.none(self.n_donors, self.n_layers)
        self.modules = edited.sum_by_module(np.ones(len(edited.tensors))) > 0
        """(layers, parts) whether a layer has such a part."""
        self._edited, self._splits, self._store = edited, splits, store
        self._advance, self._rounded, self._workers = advance, rounded, workers
        self._groups = [in_groups(side, step) for side in splits[SEARCH].sides]
        self._set = self.base
        self._asked: dict[str, set[str]] = {}
        self._is_ahead = False
        self._meet()

    @property
    def every_layer(self) -> Shape:
        """(donors, layers) the shape of the damping curve: all layers of all donors alike."""
        return np.ones((self.n_donors, self.n_layers))

    def asked(self, kind: str) -> int:
        """How many measurements of a kind there were, each once, the base's among them."""
        return len(self._asked.get(kind, ()))

    @property
    def n_groups(self) -> int:
        """How many slopes tell of all problems of the search part once."""
        return max(map(len, self._groups))

    def measure(self, edit: Edit, part: str) -> MeasuredEdit:
        """An edit's losses on a part, beside the base's: what is independent is one item, be it a text or a
        source of several."""
        sides = self._splits[part].sides

        def by_source(one: Edit) -> list[tuple[float, ...]]:
            return [side.by_source(nats) for side, nats in zip(sides, self._losses(one, part), strict=True)]

        losses = by_source(edit)
        before = losses if edit == self.base else by_source(self.base)
        changes = [paired_ratio(b, e, side.tokens) for b, e, side in zip(before, losses, sides, strict=True)]
        target, *controls = changes
        worst = max(range(len(controls)), key=lambda nth: controls[nth].delta)
        return MeasuredEdit(edit, part, target, tuple(controls), worst, losses[0], tuple(losses[1:]))

    def side(self, part: str, control: int | None = None) -> Side:
        """The target's texts in a part, or a control's."""
        texts = self._splits[part]
        return texts.target if control is None else texts.controls[control]

    def slopes(self, edit: Edit, turn: int, *, by_module: bool = False) -> Slopes:
        """Slopes at an edit on a share of the search part: a group of problems and one of each control, by
        turns.

        Args:
            edit: The edit.
            turn: Its number.
            by_module: Of every module's weight, in the place of every layer's; of an edit by module they are
                always. One measurement tells both.
        """
        chosen = [groups[turn % len(groups)] for groups in self._groups]
        turns = [turn % len(groups) for groups in self._groups]
        known = self.recall(SLOPES, edit, turns, lambda: [self._slope(batches) for batches in chosen])
        modules = by_module or edit.is_by_module
        (target, by_target), *controls = (
            (loss, np.array(of_modules if modules else of_layers)) for loss, of_layers, of_modules in known
        )
        before = self._losses(self.base, SEARCH)[1:]
        at_base = [
            sum(nats_of[nth] for batch in batches for nth in batch.documents) / _tokens(batches)
            for nats_of, batches in zip(before, chosen[1:], strict=True)
        ]
        moved = [loss - start for (loss, _), start in zip(controls, at_base, strict=True)]
        by_control = np.mean([slope for _, slope in controls], axis=0)
        return Slopes(target, float(np.mean(moved)), by_target, by_control)

    def ahead(self, calls: Sequence[Callable[[], object]]) -> None:
        """Have what independent calls will ask for measured by all processes, each its share of the calls.

        Nothing comes of it but that the answers are known: who is alone does nothing here, and measures when
        it asks. So all processes go the same way, whatever a device makes of the last bits.
        """
        if self._workers.size == 1:
            return
        self._is_ahead = True
        for call in calls[self._workers.rank :: self._workers.size]:
            call()
        self._is_ahead = False
        self._meet()

    def _meet(self) -> None:
        """All processes know what any has measured, and none goes on before that."""
        if self._workers.size > 1:
            self._workers.wait()
            self._store.refresh()
            self._workers.wait()

    def recall(self, kind: str, edit: Edit, what: Any, measure: Callable[[], Any]) -> Any:
        """What was measured of an edit before; else the edit is put into the model and measured: by the first
        process for all, unless calls are gone through ahead.

        Args:
            kind: Of measurement.
            edit: The edit.
            what: On what it is measured, as JSON can hold it.
            measure: Looks at the model; its result is one that JSON can hold.
        """
        key = key_of(kind, [str(unit) for unit in edit.units], edit.weights, what)
        if self._store.find(key) is None:
            if self._is_ahead or self._workers.is_first:
                if edit != self._set:
                    self._edited.set_weights(edit.to_weights(), self._rounded)
                    self._set = edit
                self._store.keep(key, measure())
                self._advance()
            if not self._is_ahead:
                self._meet()
        if not self._is_ahead:
            self._asked.setdefault(kind, set()).add(key)
        return self._store.find(key)

    def _losses(self, edit: Edit, part: str) -> list[tuple[float, ...]]:
        """Nats of every text of each side."""
        sides = self._splits[part].sides
        known = self.recall(LOSSES, edit, part, lambda: [self._nats(side) for side in sides])
        return [tuple(side) for side in known]

    def _nats(self, side: Side) -> list[float]:
        by_document = total_nats(self._edited.model, side.batches)
        losses = [by_document[nth] for nth in range(len(side.documents))]
        if not np.isfinite(losses).all():
            raise MergeError(f"the loss on {side.name} is not finite under an edit: the donor may be damaged")
        return losses

    def _slope(self, batches: Sequence[Batch]) -> tuple[float, list[Any], list[Any]]:
        """Nats a token of some texts, and their slopes by the weights of layers, and of modules."""
        tokens, total = _tokens(batches), 0.0
        of_layers: Shape = np.zeros((self.n_donors, self.n_layers))
        of_modules: Shape = np.zeros((self.n_donors, *self.modules.shape))
        for batch in batches:
            dots = self._edited.dots(partial(self._total, batch))
            total += dots.loss
            of_layers += self._edited.sum_by_layer(dots.values).T
            of_modules += np.moveaxis(self._edited.sum_by_module(dots.values), -1, 0)
        return total / tokens, (of_layers / tokens).tolist(), (of_modules / tokens).tolist()

    def _total(self, batch: Batch) -> "torch.Tensor":
        return nats(self._edited.model, batch, share=True).sum()


def _tokens(batches: Sequence[Batch]) -> int:
    return sum(int(batch.counted.sum()) for batch in batches)
