"""What an SAE says of itself, and the one list of what cannot be used.

Every command holds an SAE against it, whether its encoder is wanted or only rows of its decoder.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

from sae_merge_method.errors import RefusedSaeError
from sae_merge_method.models.tensor_names import layer_part

# A block's output as TransformerLens names it; Hugging Face's names are the checkpoint's own.
_RESID_POST = re.compile(r"blocks\.(\d+)\.hook_resid_post")
RESCALED = "expected_average_only_in"
"""SAELens' word for activations divided by their average norm, which is not always stored."""
_WHITENED = "covariance_whitening"


class SaeDescription(NamedTuple):
    """An SAE as its own files describe it, in SAELens' words."""

    architecture: str
    """Its kind of encoder, for example "jumprelu"."""
    hook_point: str
    """The activation it reads, for example "blocks.9.hook_resid_post"; empty where it does not say."""
    is_transcoder: bool = False
    """Whether it writes another activation than the one it reads."""
    normalization: str = "none"
    """What is done to an activation before it is encoded."""
    reshaping: str = "none"
    """How an activation of several heads is made one vector."""
    neuronpedia: str | None = None
    """Under which id neuronpedia.org shows its features, where it does."""
    d_in: int | None = None
    """Width of that activation; None where its weights have not been looked at."""


class Wanted(NamedTuple):
    """What an SAE has to fit."""

    layer: int
    """Decoder layer whose output it must read."""
    architectures: tuple[str, ...]
    """Kinds of encoder that can be read from files like its own."""
    d_model: int | None = None
    """Width of the model's residual stream; None where no model is at hand."""


class Refusal(NamedTuple):
    """One kind of SAE that cannot be used."""

    name: str
    description: str
    """What is refused, and why."""
    fault: Callable[[SaeDescription, Wanted], str | None]
    """What is wrong with an SAE, as the end of a sentence that begins with it; None if it is not so."""


def check_sae(where: str, sae: SaeDescription, wanted: Wanted) -> None:
    """Hold an SAE against every refusal.

    Args:
        where: How messages name the SAE.
        sae: What its files say.
        wanted: What it has to fit.

    Raises:
        RefusedSaeError: It cannot be used; the first reason in the order of :data:`REFUSALS`.
    """
    for refusal in REFUSALS.values():
        fault = refusal.fault(sae, wanted)
        if fault is not None:
            raise RefusedSaeError(f"the SAE {where} {fault}")


def hooked_block(hook: str) -> int | None:
    """Text decoder block whose output ``hook`` names, or None if it names anything else."""
    if match := _RESID_POST.fullmatch(hook):
        return int(match[1])
    module = layer_part(f"{hook.removesuffix('.output')}.output")
    return module.layer if module and module.part == "output" else None


def _transcoder(sae: SaeDescription, wanted: Wanted) -> str | None:
    return "is a transcoder, not an SAE of the residual stream" if sae.is_transcoder else None


def _architecture(sae: SaeDescription, wanted: Wanted) -> str | None:
    if sae.architecture in wanted.architectures:
        return None
    return f"is of the kind {sae.architecture!r}: expected one of {', '.join(wanted.architectures)}"


def _unscaled(sae: SaeDescription, wanted: Wanted) -> str | None:
    if sae.normalization != RESCALED:
        return None
    return (
        "expects activations scaled by a factor that is not stored with it: "
        "fold it in (SAE.fold_activation_norm_scaling_factor) and save it again"
    )


def _whitened(sae: SaeDescription, wanted: Wanted) -> str | None:
    if sae.normalization != _WHITENED:
        return None
    return "expects whitened activations: fold the whitening in and save it again"


def _reshaped(sae: SaeDescription, wanted: Wanted) -> str | None:
    return None if sae.reshaping == "none" else f"reads inside attention ({sae.reshaping})"


def _hook(sae: SaeDescription, wanted: Wanted) -> str | None:
    if hooked_block(sae.hook_point) is not None:
        return None
    return f"reads {sae.hook_point or 'a place it does not name'}: {_expected_hook(wanted)}"


def _layer(sae: SaeDescription, wanted: Wanted) -> str | None:
    if hooked_block(sae.hook_point) == wanted.layer:
        return None
    return f"belongs to another layer, {sae.hook_point}: {_expected_hook(wanted)}"


def _width(sae: SaeDescription, wanted: Wanted) -> str | None:
    if None in (sae.d_in, wanted.d_model) or sae.d_in == wanted.d_model:
        return None
    return f"reads activations of width {sae.d_in}, the model's residual stream has {wanted.d_model}"


def _expected_hook(wanted: Wanted) -> str:
    return f"expected the output of block {wanted.layer}, such as blocks.{wanted.layer}.hook_resid_post"


REFUSALS: dict[str, Refusal] = {
    refusal.name: refusal
    for refusal in (
        Refusal(
            "transcoder",
            "transcoders and crosscoders: their features read one place and write another",
            _transcoder,
        ),
        Refusal(
            "architecture",
            "codes that may be negative or are not of one token each; encoders that nothing here computes",
            _architecture,
        ),
        Refusal(
            "unscaled",
            "activations scaled by an average norm that the SAE's files do not hold",
            _unscaled,
        ),
        Refusal(
            "whitened",
            "whitened activations: decoder directions are then not the residual stream's",
            _whitened,
        ),
        Refusal("reshaped", "heads of attention side by side (hook_z) in the stream's place", _reshaped),
        Refusal(
            "hook",
            "activations other than a text decoder block's output: its input, its MLP, a vision tower's",
            _hook,
        ),
        Refusal("layer", "the output of another block than the one it is wanted for", _layer),
        Refusal("width", "another width than the model's residual stream", _width),
    )
}
"""All refusals by name, in the order in which they are tried."""
