"""YAML read strictly, where a key that stands twice is an error, and written so that it reads back as it was.

Names from elsewhere stand in what is written: what is not seen of them is in double quotes, as its code.
"""

import math
import re
from typing import Any

import yaml
from typing_extensions import override

from sae_merge_method.escape import terminal, terminal_line


def load_yaml(text: str) -> Any:
    """``yaml.safe_load``, strictly.

    Raises:
        yaml.YAMLError: Not YAML, a key twice in one mapping, or a key that is no plain value.
        RecursionError: Nested without end.
    """
    return yaml.load(text, Loader=_StrictLoader)


_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")


def as_number(value: Any) -> Any:
    """The finite number that a text says, as mergekit reads it where a number is due; all else as it is.

    PyYAML takes 1e-1 for text: it knows powers of ten by a point and a sign alone, 1.0e-1.
    """
    if not isinstance(value, str) or _NUMBER.fullmatch(value) is None:
        return value
    number = float(value)
    return number if math.isfinite(number) else value


class _StrictLoader(yaml.SafeLoader):
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "expected a plain key", key.start_mark)
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} stands here twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep=deep)


class Dumper(yaml.SafeDumper):
    """No anchors for what merely stands twice; PyYAML's own writes a line break of Unicode's as it is."""

    @override
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _as_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = None if terminal_line(text) == text else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style)


Dumper.add_representer(str, _as_text)


def dump_yaml(value: Any, dumper: type[Dumper] = Dumper) -> str:
    """The value as YAML: keys in their order, a line for each however long, a final newline.

    Args:
        value: Mappings, lists and plain values.
        dumper: One that writes something in another way.
    """
    text = yaml.dump(
        value, Dumper=dumper, sort_keys=False, width=1000, default_flow_style=False, allow_unicode=True
    )
    return terminal(text)
