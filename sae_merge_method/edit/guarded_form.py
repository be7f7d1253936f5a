"""The form of a recipe that keeps mergekit from even reading a donor where the gate is closed.

Slices (modules in multimodal models) name the donor only in open layers. Embeddings follow
the sources of the first slice, final norm and head those of the last: zero-length guard slices
of the base alone stand around the rest, so that they too never meet the donor.
"""

from collections.abc import Iterable
from itertools import groupby
from typing import Any

from sae_merge_method.edit.plan import TEXT_MODULE, Donation, EditPlan
from sae_merge_method.layers import format_layers


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
