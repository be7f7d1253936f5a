"""Which axis of a decoder layer's tensor is the residual stream's, by the tensor's name.

A matrix that reads the stream has it on its input side, one that writes it on its output side;
``torch.nn.Linear`` stores (out, in), GPT-2's Conv1D (in, out). Query, key and value biases and
per-head norms live inside attention and have no such axis. Names that stand in no table have an
unknown axis: whoever projects must leave such tensors out, or be told (:func:`parse_axes`).
"""

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Literal, NamedTuple

from sae_merge_method.errors import RecipeError
from sae_merge_method.models.tensor_names import layer_part

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


READS = ResidualAxis(1, "read")
WRITES = ResidualAxis(0, "write")
VECTOR_READS = ResidualAxis(0, "read")
INSIDE = ResidualAxis(None)

_LINEAR = (  # Llama, Mistral, Qwen 2 and 3, Gemma 2 and 3; Phi's fused matrices
    ("self_attn.[qkv]_proj.weight", READS),
    ("self_attn.qkv_proj.weight", READS),
    ("self_attn.[qkv]_proj.bias", INSIDE),
    ("self_attn.[qk]_norm.weight", INSIDE),
    ("self_attn.rotary_emb.inv_freq", INSIDE),
    ("self_attn.o_proj.*", WRITES),
    ("mlp.gate_proj.weight", READS),
    ("mlp.up_proj.weight", READS),
    ("mlp.gate_up_proj.weight", READS),
    ("mlp.gate_proj.bias", INSIDE),
    ("mlp.up_proj.bias", INSIDE),
    ("mlp.down_proj.*", WRITES),
    ("input_layernorm.*", VECTOR_READS),
    ("pre_feedforward_layernorm.*", VECTOR_READS),
    # Gemma's stands behind attention, Llama's in front of the MLP; the name does not tell.
    ("post_attention_layernorm.*", WRITES),
    ("post_feedforward_layernorm.*", WRITES),
)
_GPT2 = (  # Conv1D: (in, out)
    ("attn.c_attn.weight", ResidualAxis(0, "read")),
    ("attn.c_proj.weight", ResidualAxis(1, "write")),
    ("mlp.c_fc.weight", ResidualAxis(0, "read")),
    ("mlp.c_proj.weight", ResidualAxis(1, "write")),
    ("attn.c_attn.bias", INSIDE),
    ("mlp.c_fc.bias", INSIDE),
    ("attn.c_proj.bias", WRITES),
    ("mlp.c_proj.bias", WRITES),
    ("ln_[12].*", VECTOR_READS),
    ("attn.bias", INSIDE),
    ("attn.masked_bias", INSIDE),
)
_GPT_NEOX = (
    ("attention.query_key_value.weight", READS),
    ("attention.query_key_value.bias", INSIDE),
    ("attention.dense.*", WRITES),
    ("mlp.dense_h_to_4h.weight", READS),
    ("mlp.dense_h_to_4h.bias", INSIDE),
    ("mlp.dense_4h_to_h.*", WRITES),
    ("attention.bias", INSIDE),
    ("attention.masked_bias", INSIDE),
    ("attention.rotary_emb.inv_freq", INSIDE),
)
TABLE: tuple[AxisRule, ...] = tuple(
    AxisRule(pattern, axis) for pattern, axis in (*_LINEAR, *_GPT2, *_GPT_NEOX)
)

_NUMBERS = re.compile(r"(?<=\.)\d+(?=\.)")
_RULE = re.compile(r"(?P<pattern>[^\s=]+)=(?:(?P<side>read|write):(?P<axis>\d)|(?P<none>none))")


def kind_of(tensor_name: str) -> str:
    """The tensor's name within its layer, the same in all layers: ``mlp.down_proj.weight``.

    Further numbers, those of experts, become ``*``.
    """
    place = layer_part(tensor_name)
    return _NUMBERS.sub("*", place.part if place else tensor_name)


def residual_axis(tensor_name: str, overrides: Sequence[AxisRule] = ()) -> ResidualAxis | None:
    """The residual axis of a decoder layer's tensor, or None where it is not known.

    Args:
        tensor_name: The checkpoint's full name.
        overrides: Rules that go before the table's.
    """
    kind = kind_of(tensor_name)
    for rule in (*overrides, *TABLE):
        if fnmatchcase(kind, rule.pattern):
            return rule.axis
    return None


def parse_axes(text: str) -> tuple[AxisRule, ...]:
    """Read overrides such as ``"mlp.experts.*.down_proj.weight=write:0, linear_attn.*=none"``.

    Each is PATTERN=SIDE:AXIS, or PATTERN=none for a tensor without a residual axis; the pattern
    is held against the tensor's name within its layer.

    Raises:
        RecipeError: Malformed.
    """
    rules = []
    for item in text.split(","):
        match = _RULE.fullmatch(item.strip())
        if match is None:
            raise RecipeError(
                "residual_axes: expected items like mlp.experts.*.down_proj.weight=write:0, "
                f"self_attn.in_proj.weight=read:1 or linear_attn.conv1d.*=none, got {item.strip()!r}"
            )
        side: Side = "read" if match["side"] == "read" else "write"
        axis = INSIDE if match["none"] else ResidualAxis(int(match["axis"]), side)
        rules.append(AxisRule(match["pattern"], axis))
    return tuple(rules)
