"""A plan as a mergekit recipe whose donors are not even read outside the selected layers, and its YAML.

Slices (modules in multimodal models) name a donor only in selected layers. Embeddings follow
the sources of the first slice, final norm and head those of the last: zero-length guard slices
of the base alone stand around the rest, so that they too never meet the donor.
"""

from collections.abc import Iterable
from itertools import groupby
from typing import Any, NamedTuple

from sae_merge_method.artifacts.strict_yaml import Dumper, dump_yaml
from sae_merge_method.escape import terminal_line
from sae_merge_method.layers import format_layers
from sae_merge_method.models.checkpoint import Checkpoint
from sae_merge_method.models.mergekit_layout import module_names
from sae_merge_method.recipe.plan import TEXT_MODULE, Donation, EditPlan
from sae_merge_method.recipe.precision import written_rounding


def guarded_form(plan: EditPlan, base: Checkpoint) -> dict[str, Any]:
    """mergekit's configuration for ``plan``, as plain YAML values.

    Args:
        plan: The edit.
        base: Its base; of a multimodal one every module is named, for mergekit drops one that is not.

    Returns:
        A mapping with merge_method, base_model, slices or modules, parameters and, where the
        plan has one, dtype.

    Raises:
        ModelError: The base is multimodal, and mergekit does not know its architecture.
    """
    n_layers = base.n_layers
    slices = [
        _slice(plan.base, _Run(0, 0)),
        *(_slice(plan.base, run) for run in _runs(plan, n_layers)),
        _slice(plan.base, _Run(n_layers, n_layers)),
    ]
    form: dict[str, Any] = {"merge_method": plan.merge_method, "base_model": plan.base}
    names = module_names(base)
    if names:
        form["modules"] = {
            name: {"slices": slices} if name == TEXT_MODULE else {"models": [{"model": plan.base}]}
            for name in names
        }
    else:
        form["slices"] = slices
    form["parameters"] = {
        "layers": format_layers(plan.layers),
        **plan.parameters,
        **written_rounding(plan.rounding),
    }
    if plan.dtype:
        form["dtype"] = plan.dtype
    return form


class _Run(NamedTuple):
    """Neighbouring layers that receive the same."""

    first: int
    end: int
    """One more than the last."""
    donations: tuple[Donation, ...] = ()


def _runs(plan: EditPlan, n_layers: int) -> list[_Run]:
    runs = []
    for donations, group in groupby(range(n_layers), key=lambda layer: plan.donations.get(layer, ())):
        members = list(group)
        runs.append(_Run(members[0], members[-1] + 1, donations))
    return runs


def _slice(base: str, run: _Run) -> dict[str, Any]:
    layer_range = [run.first, run.end]
    sources: list[dict[str, Any]] = [{"model": base, "layer_range": layer_range}]
    for donation in run.donations:
        weight = [
            {"value": alpha} if part is None else {"filter": part, "value": alpha}
            for part, alpha in donation.weights
        ]
        sources.append(
            {
                "model": donation.model,
                "layer_range": layer_range,
                "parameters": {"weight": donation.weights[0][1] if len(weight) == 1 else weight},
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
    note: Iterable[str],
    form: dict[str, Any],
    record: dict[str, Any],
    about: str = "What the layers were chosen from.",
) -> str:
    """A recipe file's text.

    Args:
        note: Lines of the comment at its head, without the sign.
        form: mergekit's configuration.
        record: What else the file keeps; mergekit ignores and preserves it.
        about: What the record is, for the comment before it.
    """
    # Names stand in it: a line break in one would end the comment, and the rest would be the recipe's.
    head = "".join(f"# {terminal_line(line)}\n" for line in note)
    return f"{head}{_commented(_yaml(form))}\n# {about}\n{_yaml(record)}"


def _commented(text: str) -> str:
    return "".join(_COMMENTS.get(line, "") + line + "\n" for line in text.split("\n")[:-1])


class _Flow(dict):  # type: ignore[type-arg]
    """A mapping that is written on one line."""


class _Dumper(Dumper):
    """Short sources on one line each."""


_Dumper.add_representer(
    _Flow, lambda dumper, value: dumper.represent_mapping("tag:yaml.org,2002:map", value, flow_style=True)
)


def _yaml(value: dict[str, Any]) -> str:
    return dump_yaml(_with_flow(value), _Dumper)


def _with_flow(value: Any) -> Any:
    if isinstance(value, dict):
        inner = {key: _with_flow(item) for key, item in value.items()}
        return _Flow(inner) if "layer_range" in inner or set(inner) == {"layers"} else inner
    return [_with_flow(item) for item in value] if isinstance(value, list) else value
