"""How a recipe looks as YAML: mergekit's keys with a comment where a reader would stumble."""

from typing import Any

import yaml

_COMMENTS = {
    "slices:": "# The donor is named only in the selected layers: elsewhere it is not even read.\n"
    "# The empty first and last slices keep embeddings, final norm and head the base's.\n",
    "modules:": "# The donor is named only in the selected layers: elsewhere it is not even read.\n"
    "# Every module must be named: mergekit drops one that is left out.\n",
    "parameters:": "# The gate once more: a string, never a YAML list, which mergekit reads as a gradient.\n",
}


def recipe_text(
    note: str, form: dict[str, Any], record: dict[str, Any], about: str = "What the layers were chosen from."
) -> str:
    """A recipe file's text.

    Args:
        note: Comment lines for its head.
        form: mergekit's configuration.
        record: What else the file keeps; mergekit ignores and preserves it.
        about: What the record is, for the comment before it.
    """
    return f"{note}{_commented(_yaml(form))}\n# {about}\n{_yaml(record)}"


def _commented(text: str) -> str:
    return "".join(_COMMENTS.get(line, "") + line + "\n" for line in text.splitlines())


class _Flow(dict):  # type: ignore[type-arg]
    """A mapping that is written on one line."""


class _Dumper(yaml.SafeDumper):
    """Short sources on one line each, and no anchors for what merely stands twice."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


_Dumper.add_representer(
    _Flow, lambda dumper, value: dumper.represent_mapping("tag:yaml.org,2002:map", value, flow_style=True)
)


def _yaml(value: dict[str, Any]) -> str:
    return yaml.dump(
        _with_flow(value),
        Dumper=_Dumper,
        sort_keys=False,
        width=1000,
        default_flow_style=False,
        allow_unicode=True,
    )


def _with_flow(value: Any) -> Any:
    if isinstance(value, dict):
        inner = {key: _with_flow(item) for key, item in value.items()}
        return _Flow(inner) if "layer_range" in inner or set(inner) == {"layers"} else inner
    return [_with_flow(item) for item in value] if isinstance(value, list) else value
