"""mergekit's own model card for a recipe, written so that it needs no network and is the same each time."""

from typing import Any

import yaml
from mergekit.card import generate_card
from mergekit.common import ModelReference
from mergekit.config import MergeConfiguration

from sae_merge_method.model_ids import as_path


class _InOrder(MergeConfiguration):  # type: ignore[misc]
    """mergekit lists the models of a recipe from a set, in an order that changes run by run."""

    def referenced_models(self) -> list[ModelReference]:
        return sorted(super().referenced_models(), key=str)


def mergekit_card(source: str, name: str) -> str:
    """README.md text as mergekit writes it.

    Args:
        source: The recipe's YAML text, shown whole.
        name: Title: the output folder's name.
    """
    config = _InOrder.model_validate(_with_paths(yaml.safe_load(source)))
    text: str = generate_card(config=config, config_yaml=source, name=name)
    return text


def _with_paths(value: Any, key: str = "") -> Any:
    """Mark relative folders as such: mergekit would ask the Hub for a bare ``base``."""
    if isinstance(value, dict):
        return {name: _with_paths(item, name) for name, item in value.items()}
    if isinstance(value, list):
        return [_with_paths(item, key) for item in value]
    if key in ("model", "base_model") and isinstance(value, str):
        return as_path(value)
    return value
