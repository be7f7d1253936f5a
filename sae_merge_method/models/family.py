"""What a row of the table of model families holds; see :mod:`sae_merge_method.models.families` for them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

Side = Literal["read", "write"]


class ResidualAxis(NamedTuple):
    """Where a tensor meets the residual stream."""

    axis: int | None
    """Index of the residual axis; None where the tensor has none, so a projection keeps nothing."""
    side: Side = "write"
    """Whether the tensor reads the stream that enters the block, or acts at its own block."""


class AxisRule(NamedTuple):
    """A name pattern (``*`` matches anything) within the layer, and the axis it has."""

    pattern: str
    axis: ResidualAxis


class NormRule(NamedTuple):
    """Tensors that read the residual stream, by a name pattern within the layer, and the norm before them."""

    pattern: str
    norms: tuple[str, ...]
    """Names within the layer: the first that the layer has is the one."""


class Sizes(NamedTuple):
    """What a config calls the sizes of its text decoder."""

    layers: str = "num_hidden_layers"
    width: str = "hidden_size"
    """Of the residual stream."""
    others: tuple[str, ...] = ("num_attention_heads", "num_key_value_heads", "head_dim", "intermediate_size")
    """Where two configs differ in one of these, tensors of one shape mean different things."""


_USUAL_SIZES = Sizes()
_USUAL_MODULES: Mapping[str, tuple[str, ...]] = {
    "attn": ("self_attn", "linear_attn"),
    # Mixtral's, Llama 4's, and Gemma 4's experts, which stand beside its MLP.
    "mlp": ("mlp", "block_sparse_moe", "shared_mlp", "feed_forward", "experts", "router"),
}


@dataclass(frozen=True, eq=False)
class Family:
    """What one family of models calls things."""

    name: str
    model_types: tuple[str, ...]
    """transformers' ``model_type`` of the text decoder."""
    prefixes: tuple[str, ...]
    """What stands before a decoder layer's number, in any layout; matched from a name's beginning."""
    axes: tuple[AxisRule, ...]
    """Residual axes of a layer's tensors by their names within it."""
    sizes: Sizes = _USUAL_SIZES
    block_list: str = "layers"
    """Attribute of transformers' decoder that holds its blocks."""
    outside: tuple[str, ...] = ("embed_tokens", "norm")
    """What the decoder has beside its layers, as checkpoints call it."""
    parts: tuple[tuple[str, str], ...] = (("self_attn", "mlp"),)
    """Modules of a block whose outputs are what attention and MLP add to the stream; of several pairs, the
    first that a block has."""
    modules: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: _USUAL_MODULES)
    """By part of a layer, the modules that it is made of: a tensor's first name within its layer is one of
    them, or the tensor belongs to no part."""
    mixes_heads: str = "self_attn.o_proj"
    """Module of a block that reads what all its heads put out, side by side."""
    embeddings: tuple[str, ...] = ("model.embed_tokens.weight",)
    """Common names of the token embedding."""
    heads: tuple[str, ...] = ("lm_head.weight",)
    """Common names of the language-model head."""
    begins_with: tuple[str, ...] = ()
    """Begin-of-text tokens: a model that has one of them was trained with it before every document, whatever
    its tokenizer adds."""
    turn_markers: tuple[str, ...] = ()
    """Tokens of the chat template that some tokenizers add as ordinary ones."""
    special_ids: tuple[str, ...] = ()
    """Config fields with ids of special tokens, beside those of begin, end and padding."""
    overflows_float16: bool = False
    """Whether activations outgrow float16."""
    norms: tuple[NormRule, ...] = ()
    """Which norm's output a tensor reads."""
    norms_add_one: tuple[str, ...] = ()
    """Those of ``model_types`` whose norms multiply by one plus their weight."""


def shared_names(modules: Iterable[tuple[Family, str]]) -> dict[str, str]:
    """By what modules of decoders are called in any layout, what they are called in their family's first one.

    Where two families call different modules alike, the first counts.
    """
    shared: dict[str, str] = {}
    for family, module in modules:
        decoders = [prefix.removesuffix(family.block_list) for prefix in family.prefixes]
        for decoder in decoders:
            shared.setdefault(f"{decoder}{module}", f"{decoders[0]}{module}")
    return shared
