"""Our merge methods as mergekit runs them, each with a signature made from its row and the gate's keys.

So a recipe's parameters have the same names, types, bounds and defaults whichever engine reads them.
Importing this module registers nothing; ``sae_merge_method.hosts.register`` does.
"""

from collections.abc import Mapping
from functools import lru_cache
from inspect import Parameter, Signature
from typing import Annotated, Any, NamedTuple

import torch
from mergekit.merge_methods import (
    BasePolicy,
    InputContract,
    OptionalTensorPolicy,
    PerNonBase,
    TensorGroup,
    merge_method,
)
from mergekit.merge_methods.base import FunctionalGroupMergeMethod
from pydantic.fields import FieldInfo
from typing_extensions import override

from sae_merge_method.artifacts.recipe import Gate, RoundingKeys
from sae_merge_method.artifacts.schema import Record
from sae_merge_method.errors import MergeError
from sae_merge_method.layers import Unit, layers_of, unit_of_tensor
from sae_merge_method.merge.injection import inject
from sae_merge_method.models.checkpoint import MOST_LAYERS
from sae_merge_method.recipe.gate import names_all, scores_file, selected_layers
from sae_merge_method.recipe.methods import (
    METHODS,
    Filter,
    MergeMethod,
    needs_depth,
    require_rule,
    validated_parameters,
)
from sae_merge_method.recipe.precision import rounding_of


def mergekit_methods() -> tuple[Any, ...]:
    """One method of mergekit's for each row of the table; the same object for the same row every time."""
    return tuple(_mergekit_method(name, method) for name, method in METHODS.items())


_WRITTEN = "written_dtype"


class _RoundingMethod(FunctionalGroupMergeMethod):  # type: ignore[misc]  # mergekit has no types
    """A method whose kernel is told the dtype of the result, to round to it itself, and once.

    Otherwise mergekit rounds what a kernel returns, to nearest; and where no dtype is asked for, it writes
    the widest of the inputs', and not the base's own.
    """

    @override
    def _execute_resolved(
        self,
        groups: Any,
        parameters: Any,
        *,
        dtype: Any = None,
        out_dtype: Any = None,
        batch_options: Any = None,
    ) -> Any:
        # Here inputs still have their own dtypes: they are made alike just before the kernel runs.
        asked = out_dtype or dtype
        told = [
            {**given, _WRITTEN: asked or group.base.tensor.dtype}
            for group, given in zip(groups, parameters, strict=True)
        ]
        return super()._execute_resolved(
            groups, told, dtype=dtype, out_dtype=out_dtype, batch_options=batch_options
        )


@lru_cache
def _mergekit_method(name: str, method: MergeMethod[Any]) -> Any:
    own, gate_keys, rounding_keys = (
        record.model_fields for record in (method.parameters, Gate, RoundingKeys)
    )

    def kernel(group: TensorGroup, **given: Any) -> torch.Tensor:
        dtype = given.pop(_WRITTEN)
        entries = _entries(name, group, given["weight"])
        written = {key: value for key, value in given.items() if value is not None}
        gate = Gate(**{key: written[key] for key in gate_keys if key in written})
        require_rule(name, gate)
        _require_known(name, gate)
        layers = _layers(gate, _stamp(gate))
        if unit_of_tensor(layers, entries.name) is None:
            return entries.base.to(dtype)
        parameters = validated_parameters(name, {key: written[key] for key in own if key in written})
        factor = method.factor(parameters)
        change = _filter(method, parameters, layers, _stamp(gate)) if method.filter else None
        keys = RoundingKeys(**{key: written[key] for key in rounding_keys if key in written})
        alphas = [alpha * factor for alpha in entries.alphas]
        rounding = rounding_of(keys)
        edited = inject(entries.name, entries.base, entries.donors, alphas, change, dtype, rounding)
        return edited.to(dtype)  # where nothing is added the base tensor comes back as it was made

    # mergekit takes a method's parameters from its signature.
    signature = _signature({**gate_keys, **rounding_keys, **own})
    kernel.__signature__ = signature  # type: ignore[attr-defined]
    kernel.__annotations__ = {each.name: each.annotation for each in signature.parameters.values()}
    kernel.__annotations__["return"] = torch.Tensor
    declared = merge_method(
        name=name,
        pretty_name=method.title,
        reference_url=method.reference,
        contract=InputContract(base=BasePolicy.REQUIRED),
        # An optional head that only the base has is outside every layer: it stays the base's.
        optional_tensor_policy=OptionalTensorPolicy.PASSTHROUGH_BASE_SINGLETON,
    )(kernel)
    return _RoundingMethod(declared.spec, declared.implementation)


def _signature(fields: Mapping[str, FieldInfo]) -> Signature:
    """``(group, *, weight=1.0, <each field with its type, bounds and default>)``."""
    keywords = [Parameter("weight", Parameter.KEYWORD_ONLY, default=1.0, annotation=PerNonBase[float])]
    for name, field in fields.items():
        kind: Any = field.annotation
        for marker in field.metadata:
            kind = Annotated[kind, marker]
        keywords.append(Parameter(name, Parameter.KEYWORD_ONLY, default=field.default, annotation=kind))
    group = Parameter("group", Parameter.POSITIONAL_OR_KEYWORD, annotation=TensorGroup)
    return Signature([group, *keywords], return_annotation=torch.Tensor)


class _Entries(NamedTuple):
    """One tensor of all models."""

    name: str
    base: torch.Tensor
    donors: list[torch.Tensor]
    alphas: list[float]


def _entries(method: str, group: TensorGroup, weight: Any) -> _Entries:
    assert group.base is not None  # the contract of every method
    if group.metadata.name is None:
        raise MergeError(f"{method} needs tensor names to know each tensor's layer; none was given")
    donors = group.non_base
    return _Entries(
        group.metadata.name,
        group.base.tensor,
        [donor.tensor for donor in donors],
        weight.values_for(donors),
    )


# A merge asks once a tensor; the files behind an answer are read again only when they changed.


@lru_cache(maxsize=4)
def _filter(method: MergeMethod[Any], parameters: Record, layers: frozenset[Unit], stamp: int) -> Filter:
    assert method.filter is not None  # the caller's condition
    return method.filter(parameters, layers_of(layers))


@lru_cache(maxsize=64)
def _layers(gate: Gate, stamp: int) -> frozenset[Unit]:
    return frozenset(selected_layers(gate, MOST_LAYERS if names_all(gate) else None))


def _require_known(name: str, gate: Gate) -> None:
    """Make sure that nothing has to know how many layers there are.

    Raises:
        MergeError: Something has to.
    """
    if needs_depth(name, gate):
        raise MergeError(
            f'layers: "{gate.layers}" of {name}: mergekit-yaml does not say how many layers the base has; '
            'write them out, such as "0-25", or run sae-merge merge'
        )


def _stamp(gate: Gate) -> int:
    path = scores_file(gate)
    return path.stat().st_mtime_ns if path and path.exists() else 0
