"""What an SAE says of itself, and the one list of what cannot be used.

Every command holds an SAE against it, whether its encoder is wanted or only rows of its decoder.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from sae_merge_method.errors import RefusedSaeError
from sae_merge_method.loaded.sites import HOOKS, STREAM, Site, named_site

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
    is_centred: bool = False
    """Whether it reads the stream less its mean over dimensions (TransformerLens' center_writing_weights)."""
    neuronpedia: str | None = None
    """Under which id neuronpedia.org shows its features, where it does."""
    d_in: int | None = None
    """Width of that activation; None where its weights have not been looked at."""


class Wanted(NamedTuple):
    """What an SAE has to fit."""

    site: Site
    """What it must read."""
    architectures: tuple[str, ...]
    """Kinds of encoder that can be read from files like its own."""
    width: int | None = None
    """Width of the activations there; None where no model is at hand."""
    within: Mapping[str, str] = STREAM
    """What transformers calls the sites within the model's blocks; of every model's the output."""


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


def _transcoder(sae: SaeDescription, wanted: Wanted) -> str | None:
    return "is a transcoder: it reads one place and writes another" if sae.is_transcoder else None


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


def _centred(sae: SaeDescription, wanted: Wanted) -> str | None:
    if not sae.is_centred:
        return None
    return (
        "reads the stream less its mean over dimensions (center_writing_weights): on the stream as it is, "
        "other features fire"
    )


def _reshaped(sae: SaeDescription, wanted: Wanted) -> str | None:
    if sae.reshaping == "none" or not HOOKS[wanted.site.hook].in_stream:
        return None
    return f"reads inside attention ({sae.reshaping}): {_expected_hook(wanted)}"


def _hook(sae: SaeDescription, wanted: Wanted) -> str | None:
    read = named_site(sae.hook_point, wanted.within)
    if read is not None and read.hook == wanted.site.hook:
        return None
    return f"reads {sae.hook_point or 'a place it does not name'}: {_expected_hook(wanted)}"


def _layer(sae: SaeDescription, wanted: Wanted) -> str | None:
    if named_site(sae.hook_point, wanted.within) == wanted.site:
        return None
    return f"belongs to another layer, {sae.hook_point}: {_expected_hook(wanted)}"


def _width(sae: SaeDescription, wanted: Wanted) -> str | None:
    if None in (sae.d_in, wanted.width) or sae.d_in == wanted.width:
        return None
    return (
        f"reads activations of width {sae.d_in}: expected {wanted.width}, that of {wanted.site.description}"
    )


def _expected_hook(wanted: Wanted) -> str:
    return f"expected {wanted.site.description}, such as {wanted.site.saelens}"


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
        Refusal(
            "centred",
            "the stream less its mean over dimensions (`center_writing_weights`), as `gpt2-small-res-jb`",
            _centred,
        ),
        Refusal("reshaped", "heads of attention side by side (hook_z) in the stream's place", _reshaped),
        Refusal(
            "hook",
            "places that nothing here listens at: a block's input, what its MLP reads, a vision tower; and "
            "for a scalpel, whose directions are the stream's, all but a block's output",
            _hook,
        ),
        Refusal("layer", "another block than the one it is wanted for", _layer),
        Refusal("width", "another width than the activations it is wanted for", _width),
    )
}
"""All refusals by name, in the order in which they are tried."""
