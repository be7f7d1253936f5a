"""A recipe in the form that keeps mergekit from even reading a donor where the gate is closed, and its YAML.

Slices (modules in multimodal models) name the donor only in selected layers. Embeddings follow
the sources of the first slice, final norm and head those of the last: zero-length guard slices
of the base alone stand around the rest, so that they too never meet the donor.
"""

from collections.abc import Iterable
from itertools import groupby
from typing import Any

import yaml

from sae_merge_method.layers import format_layers
from sae_merge_method.recipe.plan import TEXT_MODULE, Donation, EditPlan


def guarded_form(plan: EditPlan, n_layers: int, modules: Iterable[str] = ()) -> dict[str, Any]:
    """mergekit's configuration for ``plan``, as plain YAML values.

    Args:
        plan: The edit.
        n_layers: Decoder layers of the base.
        modules: All module names of a multimodal base (mergekit drops a module that is left
            out), or nothing for a text-only one.

    Returns:
        A mapping with merge_method, base_model, slices or modules, parameters and, where the
        plan has one, dtype.
    """
    slices = [
        _slice(plan.base, 0, 0),
        *(_slice(plan.base, *run) for run in _runs(plan, n_layers)),
        _slice(plan.base, n_layers, n_layers),
    ]
    form: dict[str, Any] = {"merge_method": plan.merge_method, "base_model": plan.base}
    names = list(modules)
    if names:
        form["modules"] = {
            name: {"slices": slices} if name == TEXT_MODULE else {"models": [{"model": plan.base}]}
            for name in names
        }
    else:
        form["slices"] = slices
    form["parameters"] = {"layers": format_layers(plan.layers), **plan.parameters}
    if plan.dtype:
        form["dtype"] = plan.dtype
    return form


def _runs(plan: EditPlan, n_layers: int) -> list[tuple[int, int, tuple[Donation, ...]]]:
    """(first, last + 1, donors) of neighbouring layers that receive the same."""
    runs = []
    for gifts, group in groupby(range(n_layers), key=lambda layer: plan.donations.get(layer, ())):
        members = list(group)
        runs.append((members[0], members[-1] + 1, gifts))
    return runs


def _slice(base: str, first: int, last: int, gifts: tuple[Donation, ...] = ()) -> dict[str, Any]:
    sources: list[dict[str, Any]] = [{"model": base, "layer_range": [first, last]}]
    for gift in gifts:
        weight = [
            {"value": alpha} if part is None else {"filter": part, "value": alpha}
            for part, alpha in gift.weights
        ]
        sources.append(
            {
                "model": gift.model,
                "layer_range": [first, last],
                "parameters": {"weight": gift.weights[0][1] if len(weight) == 1 else weight},
            }
        )
    return {"sources": sources}


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
