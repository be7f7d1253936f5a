"""YAML as people write it, read strictly: a key that stands twice is an error, the last one does not win."""

from typing import Any

import yaml


def load_yaml(text: str) -> Any:
    """``yaml.safe_load``, strictly.

    Raises:
        yaml.YAMLError: Not YAML, a key twice in one mapping, or a key that is no plain value.
        RecursionError: Nested without end.
    """
    return yaml.load(text, Loader=_StrictLoader)


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
