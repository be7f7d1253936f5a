"""An attribution that a search is given: which donor's it may be."""

from pathlib import Path

import pytest
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from sae_merge_method.attribute.run import attribute
from sae_merge_method.attribute.settings import AttributeSettings
from sae_merge_method.errors import RecipeError
from sae_merge_method.tune import run
from sae_merge_method.tune.settings import TuneSettings
from tests.tune.planted import Planted


class Searching(BaseException):
    """The search begins."""


@pytest.fixture
def search(planted: Planted, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    def begins(*_: object) -> None:
        raise Searching

    def search(donor: str, attribution: Path) -> None:
        asked = {**planted.settings, "donor": donor, "attribution": str(attribution)}
        with pytest.raises(Searching):
            run.tune(TuneSettings.model_validate(asked), tmp_path / "tuned")

    monkeypatch.setattr(run, "_search_and_judge", begins)
    return search


def attributed(planted: Planted, donor: str, out: Path) -> Path:
    texts = {name: planted.settings[name] for name in ("base", "target", "control")}
    brief = {"first_order": True, "groups": 2, "max_documents": 20, "device": "cpu"}
    attribute(AttributeSettings.model_validate({**texts, **brief, "donor": donor}), out)
    return out


def save_adapter(planted: Planted, folder: Path, part: str) -> str:
    """A donor of two rows in every layer's matrices of one kind."""
    model = AutoModelForCausalLM.from_pretrained(planted.folder / "base")
    get_peft_model(model, LoraConfig(r=2, target_modules=[part], init_lora_weights=False)).save_pretrained(
        folder
    )
    return f"{planted.folder / 'base'}+{folder}"


def test_an_adapters_attribution_is_taken_for_it_and_for_no_other(
    planted: Planted, tmp_path: Path, search, caplog
) -> None:
    one = save_adapter(planted, tmp_path / "one", "down_proj")
    other = save_adapter(planted, tmp_path / "other", "q_proj")
    told = attributed(planted, one, tmp_path / "told")
    caplog.clear()
    search(one, told)
    assert "other weights" not in caplog.text
    with pytest.raises(RecipeError) as refused:
        search(other, told)
    assert f"was made with the donor {one}, the donor {other} has other weights" in str(refused.value)
    save_adapter(planted, tmp_path / "one", "q_proj")
    search(one, told)
    assert f"{one} when that came to other weights" in caplog.text


def test_another_donors_attribution_is_refused_by_its_name_and_the_bases_by_its_own(
    planted: Planted, tmp_path: Path, search
) -> None:
    donor, noise = (str(planted.folder / name) for name in ("donor", "noise"))
    told = attributed(planted, noise, tmp_path / "told")
    search(noise, told)
    with pytest.raises(RecipeError) as refused:
        search(donor, told)
    assert f"was made with the donor {noise}, the donor {donor} has other weights" in str(refused.value)
    assert "base" not in str(refused.value).replace(str(planted.folder), "")
    swapped = {**planted.settings, "base": noise, "donor": planted.settings["base"], "attribution": str(told)}
    with pytest.raises(RecipeError, match="base and donor are swapped"):
        run.tune(TuneSettings.model_validate(swapped), tmp_path / "swapped")
