"""A recipe made ready to run: resolved, its donors opened and checked, before a byte is written."""

import logging
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sae_merge_method.artifacts.recipe import AnyRecipe
from sae_merge_method.geometry.one_thread import one_blas_thread
from sae_merge_method.models.checkpoint import Checkpoint
from sae_merge_method.recipe.donors import open_donors
from sae_merge_method.recipe.lineage import oddities
from sae_merge_method.recipe.methods import Filter
from sae_merge_method.recipe.plan import EditPlan
from sae_merge_method.recipe.precision import Precision, precision_of
from sae_merge_method.recipe.preflight import check_donors, check_family, output_dtype
from sae_merge_method.recipe.resolved import ResolvedRecipe, resolve_recipe

LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """One edit, ready to run by either engine."""

    resolved: ResolvedRecipe
    """The recipe, its base, and what it means there."""
    donors: Mapping[str, Checkpoint]
    """By the recipe's name for them."""
    precision: Precision
    """In which types edits are computed and written."""
    options: Mapping[str, Any]
    """Fields of ``mergekit.options.MergeOptions`` that the user gave."""

    @property
    def base(self) -> Checkpoint:
        """The base."""
        return self.resolved.base

    @property
    def plan(self) -> EditPlan:
        """Who gives what to which layer."""
        return self.resolved.plan

    @property
    def checkpoints(self) -> tuple[Checkpoint, ...]:
        """All that is read: the base, then the donors."""
        return (self.base, *self.donors.values())

    @contextmanager
    def filtering(self) -> Iterator[Filter | None]:
        """What the method makes of task vectors, for the threads that are started in this block.

        None where they are added as they are.
        """
        change = self.resolved.filter
        with nullcontext() if change is None else one_blas_thread():
            yield change

    @property
    def threads(self) -> int | None:
        """Threads the user asked for."""
        threads: int | None = self.options.get("num_threads")
        return threads

    @property
    def quiet(self) -> bool:
        """Whether the user wants no progress bars."""
        return bool(self.options.get("quiet"))


@contextmanager
def open_job(
    recipe: AnyRecipe,
    adapters_at: Path,
    options: Mapping[str, Any] | None,
    allow_mismatch: Collection[str] = (),
) -> Iterator[Job]:
    """Read a recipe and all it names; merged adapters live as long as the block.

    Args:
        recipe: A file, or what it holds.
        adapters_at: What adapters become in the selected layers goes to a hidden sibling of this path.
        options: Fields of ``mergekit.options.MergeOptions``.
        allow_mismatch: Keys of config.json in which donors may differ from the base.

    Raises:
        SaeMergeError: Anything that can be known to be wrong from configs and headers.
    """
    given = dict(options or {})
    resolved = resolve_recipe(recipe, given.get("transformers_cache"))
    plan, base = resolved.plan, resolved.base
    with open_donors(plan, adapters_at, given) as donors:
        if not given.get("allow_crimes"):
            check_family(base, donors, allow_mismatch)
        check_donors(plan, base, donors)
        for oddity in oddities(plan, base, donors):
            LOG.warning("%s", oddity)
        written = output_dtype(plan, base)
        yield Job(resolved, donors, precision_of(resolved.recipe, base.dtypes(), written), given)
