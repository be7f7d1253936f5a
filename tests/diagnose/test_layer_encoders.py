"""What encodes a layer: its SAE, and dictionaries beside it that are as large as the SAE, or as the stream."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sae_merge_method.diagnose.layer_encoders import LayerEncoders, load_layer_encoders
from sae_merge_method.diagnose.settings import EncodingSettings
from sae_merge_method.diagnose.sited_saes import SitedSae
from sae_merge_method.loaded.sites import Site
from sae_merge_method.loaded.text_model import load_text_model
from sae_merge_method.saes.find import find_saes
from tests.diagnose import hosts

if TYPE_CHECKING:
    from sae_merge_method.loaded.text_model import TextModel

D_SAE = 48  # what save_raw says


@pytest.fixture(scope="module")
def model(gemma3: Path) -> "TextModel":
    return load_text_model(str(gemma3))


def loaded(model: "TextModel", sae: str, sae_id: str | None = None, **changes: object) -> LayerEncoders:
    settings = EncodingSettings(model="m", sae=sae, target="a", control=("b",), **changes)
    (address,) = find_saes(sae, sae_id, [1])
    return load_layer_encoders(settings, SitedSae(address, Site(1)), model)


def test_beside_an_sae_stand_as_many_random_directions_and_every_coordinate_twice(
    model: "TextModel", random_saes: str
) -> None:
    found = loaded(model, random_saes)
    sizes = {name: one.directions.shape for name, one in found.beside.items()}
    assert sizes == {"random": (D_SAE, hosts.D_MODEL), "none": (2 * hosts.D_MODEL, hosts.D_MODEL)}
    assert found.nbytes == found.sae.encoder_bytes + 4 * hosts.D_MODEL * (D_SAE + 2 * hosts.D_MODEL)


def test_usage_is_kept_under_a_key_for_every_dictionary_of_this_very_sae(
    model: "TextModel", random_saes: str
) -> None:
    found = loaded(model, random_saes)
    assert found.stored() == {
        "": (found.key(), D_SAE),
        "random": (f"{found.key()}-random", D_SAE),
        "none": (f"{found.key()}-none", 2 * hosts.D_MODEL),
    }
    assert found.key() == f"layer-001-{found.sae.source.sha256[:16]}"


def test_only_dictionaries_that_are_asked_for_stand_there(model: "TextModel", random_saes: str) -> None:
    assert loaded(model, random_saes, dictionaries=("none",)).beside.keys() == {"none"}
    alone = loaded(model, random_saes, dictionaries=())
    assert alone.beside == {} and alone.nbytes == alone.sae.encoder_bytes


@pytest.mark.parametrize(("sae", "sae_id"), [("random", "width_64_l0_8"), ("none", None)])
def test_a_dictionary_in_the_saes_place_is_held_against_no_other(
    model: "TextModel", sae: str, sae_id: str | None
) -> None:
    found = loaded(model, sae, sae_id)
    assert found.beside == {} and found.sae.source.d_sae == 64
