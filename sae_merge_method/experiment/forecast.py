"""What is known of an experiment before its diagnosis is made: no model is fetched, no weight read.

Which layers its arms have, and so what each injects, waits for the diagnosis; how many there are does not.
Once it stands, :mod:`.prospect` tells the rest.
"""

import math
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from sae_merge_method.artifacts.diagnosis import diagnosis_path, read_diagnosis
from sae_merge_method.controls.arms import ARMS
from sae_merge_method.controls.energies import LayerEnergies
from sae_merge_method.controls.ground import Ground, NoArmError
from sae_merge_method.controls.kinds import ArmKind
from sae_merge_method.controls.settings import numbers_of
from sae_merge_method.controls.unit_sets import Units
from sae_merge_method.corpora.documents import read_corpus
from sae_merge_method.errors import UsageError
from sae_merge_method.experiment.arm_models import why_out_of_reach
from sae_merge_method.experiment.needs import Needs, needs_of, shape_of
from sae_merge_method.experiment.prospect import TaskAhead, tasks_ahead
from sae_merge_method.experiment.settings import ExperimentSettings
from sae_merge_method.layers import LayerModule, Unit
from sae_merge_method.models.parts import PARTS
from sae_merge_method.selection import choose_layers, parse_rule


class ArmsAhead(NamedTuple):
    """The arms of one row of the table."""

    kind: str
    """Name of the row, or of the user's own recipe."""
    names: tuple[str, ...]
    what: str
    """What they control for, or what they are."""


class Forecast(NamedTuple):
    """An experiment of which nothing stands yet."""

    rows: tuple[ArmsAhead, ...]
    select: str
    """The rule that is to select the layers."""
    n_layers: int
    tasks: tuple[TaskAhead, ...]
    """Empty where lm-eval could not tell them, for the reason."""
    reason: str | None
    documents: int
    """Of general text that is asked for; 0 without any."""
    alpha: float
    needs: Needs
    merged: str | None = None
    """Why arms have to be merged to the disk; None where they are edited in memory."""
    minutes: float | None = None
    """Of lm-eval for one arm: None, as none is done."""
    done: frozenset[str] = frozenset()
    """Names of the arms that are done: none."""

    @property
    def arms(self) -> tuple[str, ...]:
        """Names of all arms."""
        return tuple(name for row in self.rows for name in row.names)

    @property
    def problems(self) -> int:
        """Over all tasks; 0 where they are not known."""
        return sum(task.problems for task in self.tasks)

    @property
    def checkpoint(self) -> int | None:
        """Bytes of one arm's merged checkpoint; None where nobody could tell."""
        return self.needs.checkpoint


def forecast(settings: ExperimentSettings) -> Forecast:
    """Say what there is to say.

    Raises:
        UsageError: lm-eval knows no such task, or runs code that nobody allowed it to; or the metric runs one
            way in some of the tasks, and the other way in others.
        ModelError: Nothing at all is known of the base.
        SaeError: There are no such SAEs.
        ArtifactError: A diagnosis is named that is none, or there is no such recipe of the user's.
        RecipeError: A recipe of the user's cannot be read.
        CorpusError: A file of general text cannot be read.
    """
    if isinstance(settings.diagnosis, str):
        read_diagnosis(diagnosis_path(Path(settings.diagnosis)))
    ahead = tasks_ahead(settings.evaluation, settings.base, settings.metric)
    shape = shape_of(settings.base)
    ground = _stand_in(settings, shape.n_layers)
    rows = [_row(ARMS[name], ground) for name in settings.controls()]
    rows.sort(key=lambda row: row.kind != "base")
    own = [ArmsAhead(name, (name,), str(file)) for name, file in settings.own_recipes().items()]
    return Forecast(
        (*(row for row in rows if row.names), *own),
        settings.select,
        shape.n_layers,
        ahead.tasks,
        ahead.reason,
        _documents(settings),
        settings.alpha,
        needs_of(settings, shape),
        why_out_of_reach(settings.evaluation),
    )


def _stand_in(settings: ExperimentSettings, n_layers: int) -> Ground:
    """A ground to count arms on: nobody knows yet which layers are selected, only about how many."""
    modules = [LayerModule(layer, part) for layer in range(n_layers) for part in PARTS]
    every: dict[Unit, float] = dict.fromkeys((*range(n_layers), *modules), 1.0)
    falling: dict[Unit, float] = {layer: 1.0 - layer / n_layers for layer in range(n_layers)}
    selected: Units = ()
    with suppress(UsageError):  # it needs more than scores
        selected = choose_layers(parse_rule(settings.select), falling)
    if not 0 < len(selected) < n_layers:
        selected = tuple(range(math.ceil(n_layers / 4)))
    modes = dict.fromkeys((mode for kind in ARMS.values() for mode in kind.measures), 1.0)
    return Ground(
        selected,
        n_layers,
        LayerEnergies(every, every, modes),
        falling,
        {},
        weight=settings.weight,
        **numbers_of(settings, n_layers),
    )


def _row(kind: ArmKind, ground: Ground) -> ArmsAhead:
    try:
        names = tuple(arm.name for arm in kind.arms(ground))
    except NoArmError:
        names = ()
    return ArmsAhead(kind.name, names, kind.as_it_is or kind.description)


def _documents(settings: ExperimentSettings) -> int:
    asked = settings.general_loss
    if asked is None:
        return 0
    if asked.max_documents is not None and not Path(asked.corpus).is_file():
        return asked.max_documents
    return len(read_corpus(asked.corpus, asked.text_field, asked.max_documents).documents)
