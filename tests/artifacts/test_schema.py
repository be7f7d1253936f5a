"""What every artifact and settings record shares."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from sae_merge_method.artifacts.schema import Location, Record, read_settings
from sae_merge_method.errors import UsageError


class Places(Record):
    """Where things lie."""

    model: Location
    """Folder or Hub id."""
    saes: Location | None = None
    """Folder."""


def test_a_location_is_text_and_takes_a_path():
    places = Places(model=Path("models") / "base", saes=Path("saes"))
    assert (places.model, places.saes) == ("models/base", "saes")
    assert Places(model="google/gemma-3-4b-it").model == "google/gemma-3-4b-it"


def test_a_location_is_nothing_else():
    with pytest.raises(ValidationError):
        Places(model=4)


def test_a_setting_that_stands_twice_in_a_file_is_an_error(tmp_path):
    file = tmp_path / "settings.yml"
    file.write_text("model: a\nmodel: b\n")
    with pytest.raises(UsageError, match="the key 'model' stands here twice"):
        read_settings(Places, {}, file)
