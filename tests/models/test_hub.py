"""How a model's name is read, and what it stands for on this machine."""

from pathlib import Path

import pytest

from sae_merge_method.errors import ModelError, UsageError
from sae_merge_method.models.hub import (
    ModelId,
    as_path,
    folder_at_hand,
    is_same_model,
    local_folder,
    open_model,
    parse_model_id,
)
from tests import tiny


@pytest.mark.parametrize(
    ("text", "model"),
    [
        ("./base", ModelId("./base")),
        ("owner/name", ModelId("owner/name")),
        ("owner/name@v1.0", ModelId("owner/name", "v1.0")),
        ("owner/name+owner/lora", ModelId("owner/name", None, ModelId("owner/lora"))),
        ("owner/name@v1+owner/lora@v2", ModelId("owner/name", "v1", ModelId("owner/lora", "v2"))),
    ],
)
def test_a_name_is_read_and_written_in_mergekits_notation(text, model):
    assert parse_model_id(text) == model
    assert str(model) == text


def test_the_notation_is_mergekits():
    from mergekit.common import ModelReference

    for text in ("owner/name", "owner/name@v1", "owner/name+owner/lora", "owner/name@v1+owner/lora@v2"):
        theirs, ours = ModelReference.parse(text), parse_model_id(text)
        assert (theirs.model.path, theirs.model.revision) == (ours.path, ours.revision)
        adapter = (theirs.lora.path, theirs.lora.revision) if theirs.lora else None
        assert adapter == ((ours.adapter.path, ours.adapter.revision) if ours.adapter else None)


@pytest.mark.parametrize("text", ["", "a+", "a@", "+a", "@v1", "a+b+c", "a@b@c", "a+b@"])
def test_half_a_name_is_refused(text):
    with pytest.raises(UsageError, match="expected a model like"):
        parse_model_id(text)


def test_a_folder_that_exists_is_meant_whole_whatever_its_name_holds(tmp_path):
    folder = tiny.gemma3_text(tmp_path / "run+2@best", 0)
    assert parse_model_id(str(folder)) == ModelId(str(folder))
    adapter = tmp_path / "lora+math@2"
    adapter.mkdir()
    named = ModelId(str(folder), adapter=ModelId(str(adapter)))
    assert parse_model_id(f"{folder}+{adapter}") == named
    assert str(named) == f"{folder}+{adapter}"
    assert open_model(str(folder)).folder == folder


def test_an_adapter_is_no_whole_model(tmp_path):
    folder = tiny.gemma3_text(tmp_path / "base", 0)
    with pytest.raises(UsageError, match="expected a whole checkpoint, not an adapter"):
        open_model(f"{folder}+owner/lora")


def test_a_model_that_is_nowhere_is_named(tmp_path):
    with pytest.raises(ModelError, match="there is no folder ./nowhere"):
        local_folder(ModelId("./nowhere"))
    with pytest.raises(ModelError, match="the Hub does not give a model of that name"):
        local_folder(ModelId("someone/nowhere"), str(tmp_path))
    assert folder_at_hand(ModelId("./nowhere")) is folder_at_hand(ModelId("someone/nowhere")) is None


def test_a_bare_folder_name_is_marked_as_a_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "base").mkdir()
    assert as_path("base") == "./base"
    assert as_path("base+other/lora") == "./base+other/lora"
    assert as_path("/abs/base") == "/abs/base"
    assert as_path("~/base+~/lora") == f"{Path.home()}/base+{Path.home()}/lora"
    assert as_path("google/gemma-3-4b-it@main") == "google/gemma-3-4b-it@main"


def test_a_model_is_the_same_however_its_path_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("donor", "other"):
        (tmp_path / name).mkdir()
    same = [
        ("donor", "./donor"),
        (str(tmp_path / "donor"), "donor/"),
        ("gone", "./gone"),
        ("a/b", "a/b@main"),
    ]
    unlike = [("donor", "other"), ("a/b@1", "a/b@2"), ("a/b", "a/b+c/d"), ("a/b", "a/c"), ("donor", "gone")]
    assert all(is_same_model(*names) for names in same)
    assert not any(is_same_model(*names) for names in unlike)
