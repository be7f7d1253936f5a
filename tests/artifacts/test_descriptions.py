"""Every field of every artifact is explained, by a sentence that a reader of the schema alone understands."""

import importlib
import pkgutil
import re
from collections.abc import Iterator

import pytest

import sae_merge_method.artifacts as package
from sae_merge_method.artifacts.schema import Record

LEANING = re.compile(
    r"(The same|Same|Its|Their|It|Likewise|As (above|below|before)|Ditto|This|That|These|Those|Such|And|Or)\b"
)
"""Openings of a sentence that leans on the line above."""


def records() -> Iterator[type[Record]]:
    for module in pkgutil.iter_modules(package.__path__):
        members = vars(importlib.import_module(f"{package.__name__}.{module.name}")).values()
        yield from (kind for kind in members if isinstance(kind, type) and issubclass(kind, Record))


ARTIFACTS = sorted({kind for kind in records() if kind is not Record}, key=lambda kind: kind.__name__)


@pytest.mark.parametrize("kind", ARTIFACTS, ids=lambda kind: kind.__name__)
def test_every_field_is_explained_by_itself(kind: type[Record]) -> None:
    descriptions = {name: (field.description or "").strip() for name, field in kind.model_fields.items()}
    assert [name for name, text in descriptions.items() if len(text.split()) < 2] == []
    assert [name for name, text in descriptions.items() if LEANING.match(text)] == []


def test_there_are_artifacts_to_look_at() -> None:
    assert len(ARTIFACTS) > 30
