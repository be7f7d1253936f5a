"""The YAML of a card's front matter: a key whose value does not change keeps its lines, comments and all."""

from collections.abc import Mapping
from typing import Any

import yaml
from typing_extensions import override

from sae_merge_method.artifacts.strict_yaml import Dumper, dump_yaml, load_yaml

_SHORT = 160
"""Characters that a mapping or a list may have to stand on one line."""


class _ShortDumper(Dumper):
    """A result takes four lines, not seventeen: whoever opens the card as a file wants to see its text."""

    @override
    def serialize(self, node: yaml.Node) -> None:
        if isinstance(node, yaml.CollectionNode):
            node.flow_style = False  # the whole is edited by hand, key by key
        super().serialize(node)

    @override
    def represent_sequence(self, tag: str, sequence: Any, flow_style: bool | None = None) -> Any:
        node = super().represent_sequence(tag, sequence, flow_style)
        node.flow_style = _length(node) <= _SHORT and all(map(_is_plain, node.value))
        return node

    @override
    def represent_mapping(self, tag: str, mapping: Any, flow_style: bool | None = None) -> yaml.MappingNode:
        node = super().represent_mapping(tag, mapping, flow_style)
        node.flow_style = _length(node) <= _SHORT and all(_is_plain(value) for _, value in node.value)
        return node


def _is_plain(node: yaml.Node) -> bool:
    return not isinstance(node, yaml.CollectionNode) or bool(node.flow_style)


def _length(node: yaml.Node) -> int:
    if isinstance(node, yaml.SequenceNode):
        return sum(_length(value) + 2 for value in node.value)
    if isinstance(node, yaml.MappingNode):
        return sum(_length(key) + _length(value) + 4 for key, value in node.value)
    return len(node.value)


def front_matter_text(
    fields: Mapping[str, Any], standing: Mapping[str, Any] | None = None, text: str = ""
) -> str:
    """The metadata as YAML, short mappings and lists on one line each.

    Args:
        fields: The metadata; what does not change of ``standing`` is the very object that stands there.
        standing: The metadata that ``text`` was read as.
        text: The YAML that stands there.
    """
    standing = standing or {}
    head, lines = _by_key(standing, text)
    written = [head]
    for key, value in fields.items():
        own, comments = lines.get(key, ("", ""))
        is_same = own and value is standing[key]
        written += [own if is_same else dump_yaml({key: value}, _ShortDumper), comments]
    kept = "".join(written).strip("\n")
    # Words that end in empty lines, say, may have meant them.
    return kept if _reads_as(kept, fields) else dump_yaml(dict(fields), _ShortDumper).strip()


def _reads_as(text: str, fields: Mapping[str, Any]) -> bool:
    try:
        return bool(load_yaml(text) == fields)
    except yaml.YAMLError:
        return False


def _by_key(standing: Mapping[str, Any], text: str) -> tuple[str, dict[str, tuple[str, str]]]:
    """What stands before the first key, and by key its own lines and the comments behind them.

    Empty where a key's lines cannot be told from the others': not one below the other, or tied by anchors.
    """
    if any(isinstance(token, (yaml.AnchorToken, yaml.AliasToken)) for token in yaml.scan(text)):
        return "", {}
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    starts = [key.start_mark for key, _ in root.value] if isinstance(root, yaml.MappingNode) else []
    if not starts or len(starts) != len(standing) or any(start.column for start in starts):
        return "", {}
    text = text.rstrip("\n") + "\n"
    ends = [*(start.index for start in starts[1:]), len(text)]
    pieces = [text[start.index : end] for start, end in zip(starts, ends, strict=True)]
    return text[: starts[0].index], dict(zip(standing, map(_parted, pieces), strict=True))


def _parted(piece: str) -> tuple[str, str]:
    """A key's lines, and the comments and empty lines at their end."""
    lines = piece.splitlines(keepends=True)
    end = max(nth for nth, line in enumerate(lines, 1) if line.strip() and not line.startswith("#"))
    return "".join(lines[:end]), "".join(lines[end:])
