"""Which axis of a decoder layer's tensor is the residual stream's, by the tensor's name.

A matrix that reads the stream has it on its input side, one that writes it on its output side;
``torch.nn.Linear`` stores (out, in), GPT-2's Conv1D (in, out). Query, key and value biases and
per-head norms live inside attention and have no such axis. Names that stand in no table have an
unknown axis: whoever projects must leave such tensors out, or be told (:func:`parse_axes`).
"""

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase

from sae_merge_method.errors import RecipeError
from sae_merge_method.models.families import vocabulary
from sae_merge_method.models.family import AxisRule, ResidualAxis, Side
from sae_merge_method.models.tensor_names import layer_part

_NUMBERS = re.compile(r"(?<=\.)\d+(?=\.)")
_RULE = re.compile(r"(?P<pattern>[^\s=]+)=(?:(?P<side>read|write):(?P<axis>\d)|(?P<none>none))")


def kind_of(tensor_name: str) -> str:
    """The tensor's name within its layer, the same in all layers: ``mlp.down_proj.weight``.

    Further numbers, those of experts, become ``*``.
    """
    within = layer_part(tensor_name)
    return _NUMBERS.sub("*", within.part if within else tensor_name)


def residual_axis(tensor_name: str, overrides: Sequence[AxisRule] = ()) -> ResidualAxis | None:
    """The residual axis of a decoder layer's tensor, or None where it is not known.

    Args:
        tensor_name: The checkpoint's full name.
        overrides: Rules that go before the families'.
    """
    kind = kind_of(tensor_name)
    for rule in (*overrides, *vocabulary().axes):
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
        axis = ResidualAxis(None) if match["none"] else ResidualAxis(int(match["axis"]), side)
        rules.append(AxisRule(match["pattern"], axis))
    return tuple(rules)
