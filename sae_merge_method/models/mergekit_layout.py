"""What mergekit knows of a base: the modules of a multimodal model, and its tensors' names."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sae_merge_method.errors import MergeError, ModelError
from sae_merge_method.models.checkpoint import Checkpoint


def module_names(base: Checkpoint) -> tuple[str, ...]:
    """All modules mergekit knows of a multimodal model; empty for a text-only one.

    A recipe must name every one of them: mergekit drops a module that is left out, in silence.

    Raises:
        ModelError: mergekit does not know the architecture.
    """
    if not base.is_multimodal:
        return ()
    architecture = _architecture(base)
    if architecture is None:
        names = base.config.get("architectures") or []
        raise ModelError(f"mergekit does not know the multimodal architecture {', '.join(names) or '(none)'}")
    return tuple(architecture.modules)


def require_known_to_mergekit(base: Checkpoint, instead: str) -> None:
    """Refuse a base whose names mergekit would not find, or would leave out of what it writes.

    Architectures that mergekit infers from the checkpoint itself pass: it takes the names they have.

    Args:
        base: The base.
        instead: What else the user can do, for the message.

    Raises:
        MergeError: mergekit's own layout of this architecture is another one.
    """
    architecture = _architecture(base)
    if architecture is None:
        return
    expected = _expected_names(base, architecture)
    present = set(base.tensors)
    for fault, names in (("lacks", expected.required - present), ("does not know", present - expected.known)):
        if names:
            subject = "the base" if fault == "lacks" else "mergekit"
            raise MergeError(
                f"mergekit cannot read or write the base's layout ({base.layout}): {subject} {fault} "
                f"{min(names)}, and mergekit's own layout is {_layout(expected.required)}; {instead}"
            )


def same_names(base: Checkpoint, donor: Checkpoint, layers: Sequence[int]) -> bool:
    """Whether mergekit finds the donor's tensors of ``layers`` where the base has its own."""
    names = (entry.name for part, entry in base.layer_tensors.items() if part.layer in layers)
    return base.config.get("architectures") == donor.config.get("architectures") and all(
        name in donor.tensors for name in names
    )


def why_not_plain(base: Checkpoint, donor: Checkpoint, layers: Sequence[int]) -> str | None:
    """What keeps ``mergekit-yaml`` from a recipe that ``sae-merge merge`` runs; None where nothing does."""
    for name, model in (("base", base), ("donor", donor)):
        if not model.has_index:
            return f"the {name}'s shards have no index"
    if not same_names(base, donor, layers):
        return f"the donor's layout ({donor.layout}) is not the base's ({base.layout})"
    if base.is_multimodal:
        try:
            require_known_to_mergekit(base, "use sae-merge merge")
        except MergeError as error:
            return str(error)
    return None


def _layout(names: set[str]) -> str:
    from sae_merge_method.models.tensor_names import describe_layout

    return describe_layout(sorted(names))


def _architecture(base: Checkpoint) -> Any:
    from mergekit.architecture.json_definitions import NAME_TO_ARCH

    candidates = [
        arch for name in base.config.get("architectures") or [] for arch in NAME_TO_ARCH.get(name, [])
    ]
    kind = base.config.get("model_type")
    fitting = [arch for arch in candidates if arch.expected_model_type == kind]
    # Several names share one definition there; only a lone one is taken whatever its type.
    return next(iter(fitting or (candidates if len(candidates) == 1 else [])), None)


class _ExpectedNames(NamedTuple):
    """Names of tensors by mergekit's definition of an architecture."""

    required: set[str]
    """Those that must be there."""
    known: set[str]
    """Those that may be there."""


def _expected_names(base: Checkpoint, architecture: Any) -> _ExpectedNames:
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(base.folder)
    required: set[str] = set()
    known: set[str] = set()
    for module in architecture.modules.values():
        arch, prefix = module.architecture, module.weight_prefix or ""
        weights = [*arch.pre_weights(config), *arch.post_weights(config)]
        for index in range(arch.num_layers(config)):
            weights += arch.layer_weights(index, config)
        for weight in weights:
            names = [weight.name, *(weight.aliases or []), *(weight.tied_names or [])]
            known.update(prefix + name for name in names)
            if not weight.optional:
                required.add(prefix + weight.name)
    return _ExpectedNames(required, known)
