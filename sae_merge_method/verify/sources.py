"""What an audit can hold a checkpoint against: its recipe, its report, and the models it names.

Models that the recipe names are used where they are at hand, a folder or in the Hub's cache;
only those that the user names are downloaded.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from sae_merge_method.artifacts.edit_report import REPORT_FILE, EditReport
from sae_merge_method.artifacts.recipe import RECIPE_FILE, Recipe
from sae_merge_method.errors import ArtifactError, RefusedSaeError, SaeError, UsageError
from sae_merge_method.layers import Unit, parse_units
from sae_merge_method.models.checkpoint import Checkpoint, open_checkpoint
from sae_merge_method.models.hub import folder_at_hand, local_folder, open_model, parse_model_id
from sae_merge_method.models.shards import lacks_weights
from sae_merge_method.recipe.merged_folder import MergedFolder, open_merged
from sae_merge_method.recipe.methods import Filter
from sae_merge_method.recipe.plan import EditPlan
from sae_merge_method.recipe.preflight import check_donors
from sae_merge_method.recipe.resolved import ResolvedRecipe
from sae_merge_method.verify.adapters import AdapterBench, adapter_at_hand
from sae_merge_method.verify.itself import is_itself, journaled_base
from sae_merge_method.verify.report import Established


@dataclass(frozen=True)
class Sources:
    """Everything at hand for one audit."""

    merged: Checkpoint
    """What is audited."""
    resolved: ResolvedRecipe
    """Its recipe; the checkpoint itself stands for the base, which need not be at hand."""
    report: EditReport | None
    """Its edit report; None for plain mergekit-yaml output."""
    base: Checkpoint | None
    """The base; None where it is not at hand."""
    plan: EditPlan | None = None
    """Who gives what; None where edits cannot be computed anew."""
    donors: Mapping[str, Checkpoint] = field(default_factory=dict)
    """By the recipe's names; empty when one of them is missing."""
    filter: Filter | None = None
    """What filters the task vectors; None where the recipe's method does not."""
    in_place: bool = False
    """Whether the checkpoint was edited in its own files: the base is what its journal keeps."""
    itself: str | None = None
    """Why the base is no other model than the checkpoint, in words; ``base`` is None then."""

    @property
    def recipe(self) -> Recipe:
        """The recipe."""
        return self.resolved.recipe

    @property
    def layers(self) -> tuple[Unit, ...]:
        """The selected layers and parts of layers."""
        return self.resolved.layers


@contextmanager
def gathered(
    folder: Path, base: str | None, donors: Sequence[str], evidence: Established
) -> Iterator[Sources]:
    """Open the checkpoint and all it can be held against; merged adapters live as long as the block.

    Args:
        folder: The merged checkpoint.
        base: The base's name by the user, or None for the recipe's.
        donors: The donors' names by the user, in the recipe's order, or nothing for the recipe's.
        evidence: Takes what is not at hand.

    Raises:
        SaeMergeError: No recipe, or one that is not ours; nothing to hold the checkpoint against;
            a model that the user named cannot be had.
    """
    with ExitStack() as kept:
        yield _gather(folder, base, donors, evidence, kept)


def _gather(
    folder: Path, base: str | None, donors: Sequence[str], evidence: Established, kept: ExitStack
) -> Sources:
    merged = open_merged(folder)
    resolved = _with_layers(merged, evidence)
    sources = Sources(merged.checkpoint, resolved, merged.report, None)
    sources = _with_base(sources, base, evidence)
    base_model = sources.base
    if sources.itself is not None:
        return sources
    if base_model is None and merged.report is None:
        raise ArtifactError(
            f"{folder} has no {REPORT_FILE}, and its base {merged.recipe.base_model} is not at hand: "
            "name it with --base"
        )
    try:
        plan, method = resolved.plan, resolved.filter
    except RefusedSaeError as error:  # whatever it was merged with, it is not what the recipe means
        evidence.violate(RECIPE_FILE, str(error))
        return sources
    except (SaeError, ArtifactError) as error:
        evidence.leave_open(f"the edits of {resolved.recipe.merge_method}: {error}")
        return sources
    sources = replace(sources, plan=plan, filter=method)
    return replace(sources, donors=_donors(sources, plan, donors, evidence, kept))


def _with_base(sources: Sources, by_user: str | None, evidence: Established) -> Sources:
    """The base as named, or as the journal of an edit in place keeps it; never the checkpoint itself."""
    merged, in_recipe = sources.merged, sources.recipe.base_model
    journaled = journaled_base(merged) if by_user is None else None
    if journaled is not None:
        return replace(sources, base=journaled, in_place=True)
    base = _open(in_recipe, by_user, "the base", evidence)
    if base is None or not is_itself(merged, base, sources.layers):
        if base is not None and journaled_base(base) is not None:
            evidence.leave_open(
                f"that {base.folder} is still what the checkpoint was made from: it was edited in place "
                "(sae-merge undo brings it back)"
            )
        return replace(sources, base=base)
    journaled = journaled_base(merged)
    if journaled is not None:
        return replace(sources, base=journaled, in_place=True)
    return replace(
        sources,
        itself=f"the base {by_user or in_recipe} at {base.folder} is the checkpoint itself, which agrees "
        "with any change; --base names the model that it was made from",
    )


def _with_layers(merged: MergedFolder, evidence: Established) -> ResolvedRecipe:
    """The recipe with its layers, also where the diagnosis that chooses them did not travel along."""
    resolved, gate = merged.resolved, merged.recipe.parameters
    try:
        return resolved.with_layers(resolved.layers)
    except ArtifactError as error:
        if gate.layers is not None:
            evidence.leave_open(f"that {gate.select} chooses the layers: {error}")
            return resolved.with_layers(parse_units(gate.layers, merged.checkpoint.n_layers))
        if merged.report is None:
            raise
        evidence.leave_open(f"that {gate.select} chooses the layers of {REPORT_FILE}: {error}")
        return resolved.with_layers(merged.report.layers)


def _donors(
    sources: Sources, plan: EditPlan, named: Sequence[str], evidence: Established, kept: ExitStack
) -> dict[str, Checkpoint]:
    if named and len(named) != len(plan.donors):
        raise UsageError(
            f"the recipe has {len(plan.donors)} donors ({', '.join(plan.donors)}): "
            f"expected --donor for each, in this order, got {len(named)}"
        )
    if sources.base is None:
        return {}
    by_user: Sequence[str | None] = named or [None] * len(plan.donors)
    opened = {
        donor: _open_donor(sources, plan, donor, name, evidence, kept)
        for donor, name in zip(plan.donors, by_user, strict=True)
    }
    donors = {name: donor for name, donor in opened.items() if donor is not None}
    if len(donors) < len(opened):
        return {}
    check_donors(plan, sources.base, donors)
    return donors


def _open_donor(
    sources: Sources,
    plan: EditPlan,
    in_recipe: str,
    by_user: str | None,
    evidence: Established,
    kept: ExitStack,
) -> Checkpoint | None:
    """A donor, its adapter merged into it as the merge did; None where it cannot be had."""
    whole, *adapters = parse_model_id(by_user or in_recipe).parts
    what = f"what needs the donor {in_recipe}"
    if adapters and sources.report is None:
        evidence.leave_open(
            f"{what}: mergekit-yaml merges an adapter through peft; --donor names a model that is merged so"
        )
        return None
    model = _open(str(whole), str(whole) if by_user else None, "the donor", evidence)
    if model is None:
        return None
    if is_itself(sources.merged, model, sources.layers):
        if not (adapters and sources.in_place and sources.base):
            evidence.violate(
                RECIPE_FILE,
                f"the donor {in_recipe} at {model.folder} is the checkpoint itself, "
                "which agrees with any change",
            )
            return model
        model = sources.base  # what the adapter was put upon was edited in place since
    if not adapters:
        return model
    folder = local_folder(adapters[0]) if by_user else adapter_at_hand(adapters[0])
    if folder is None:
        evidence.leave_open(f"{what}: its adapter is not at hand")
        return None
    request = sources.report.request if sources.report else None
    bench = AdapterBench(sources.merged.folder, request.lora_merge_dtype if request else None, kept)
    try:
        return bench.merged(model, folder, plan.layers_of(in_recipe), in_recipe)
    except OSError as error:
        evidence.leave_open(f"{what}: its adapter is merged beside the checkpoint, and {error}")
        return None


def _open(in_recipe: str, by_user: str | None, role: str, evidence: Established) -> Checkpoint | None:
    if by_user is not None:
        return open_model(by_user)
    model = parse_model_id(in_recipe)
    folder = None if model.adapter else folder_at_hand(model)
    if folder is None or (model.folder is None and lacks_weights(folder)):
        reason = "its adapter must be merged first" if model.adapter else "it is not at hand"
        evidence.leave_open(f"what needs {role} {in_recipe}: {reason}")
        return None
    return open_checkpoint(folder)
