"""mergekit's names for the modules of a multimodal model."""

from sae_merge_method.checkpoints import Checkpoint
from sae_merge_method.errors import ModelError


def module_names(base: Checkpoint) -> tuple[str, ...]:
    """All modules mergekit knows of a multimodal model; empty for a text-only one.

    A recipe must name every one of them: mergekit drops a module that is left out, in silence.

    Raises:
        ModelError: mergekit does not know the architecture.
    """
    if not base.is_multimodal:
        return ()
    from mergekit.architecture.json_definitions import NAME_TO_ARCH

    names = base.config.get("architectures") or []
    known = [
        architecture
        for name in names
        for architecture in NAME_TO_ARCH.get(name, [])
        if architecture.expected_model_type == base.config.get("model_type")
    ]
    if not known:
        raise ModelError(f"mergekit does not know the multimodal architecture {', '.join(names) or '(none)'}")
    return tuple(known[0].modules)
