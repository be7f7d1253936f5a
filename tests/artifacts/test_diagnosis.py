"""diagnosis.json explains itself."""

import re
from collections.abc import Iterator

import pytest

from sae_merge_method.artifacts.diagnosis import Diagnosis

LEANING = re.compile(
    r"^(the same|likewise|as above|ditto|its own)\b|\b(above|below|previous field)\b", re.IGNORECASE
)


def fields() -> Iterator[tuple[str, str]]:
    schema = Diagnosis.model_json_schema()
    for name, record in {"Diagnosis": schema, **schema["$defs"]}.items():
        for field, described in record["properties"].items():
            yield f"{name}.{field}", described.get("description", "")


@pytest.mark.parametrize(("name", "description"), list(fields()))
def test_every_field_has_a_description_that_stands_alone(name: str, description: str) -> None:
    assert len(description.split()) >= 3, name
    assert description.endswith(".")
    assert not LEANING.search(description)
