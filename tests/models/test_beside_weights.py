"""The one table of files beside the weights, and who reads it."""

import inspect
import json
import re
from fnmatch import fnmatch
from importlib.resources import files

import pytest

from sae_merge_method.models.beside_weights import SIDE_FILES, BesideWeights, files_to_take
from sae_merge_method.models.hub import WANTED_FILES
from sae_merge_method.verify.audit import verify
from tests import tiny
from tests.recipes import recipe_text, run_recipe


@pytest.mark.parametrize("name", SIDE_FILES)
def test_every_file_is_fetched_with_a_model(name):
    assert any(fnmatch(name, pattern) for pattern in WANTED_FILES)


def test_every_file_that_mergekit_copies_has_a_row():
    from mergekit import merge

    copied = set(
        re.findall(r'"([\w.]+\.(?:json|jinja|txt|model))"', inspect.getsource(merge._copy_tokenizer))
    )
    assert "generation_config.json" in copied
    gemma = json.loads((files("mergekit") / "_data/architectures/gemma3vl.json").read_text())
    assert copied | set(gemma["tagalong_files"]) <= set(SIDE_FILES)


def test_a_tokenizer_that_is_not_wanted_stays_and_a_text_model_needs_no_processor():
    assert files_to_take(tokenizer=False, multimodal=False) == ["config.json", "generation_config.json"]
    assert "chat_template.jinja" in files_to_take(tokenizer=True, multimodal=False)
    assert "processor_config.json" in files_to_take(tokenizer=False, multimodal=True)


@pytest.mark.parametrize("engine", ["direct", "mergekit"])
def test_a_new_row_is_copied_by_the_merge_and_checked_by_the_audit(tmp_path, monkeypatch, engine):
    row = BesideWeights("sampler.json", "generation config", "always", "as JSON", frozenset({"saved"}))
    monkeypatch.setitem(SIDE_FILES, row.name, row)
    base, donor = tiny.gemma3_text(tmp_path / "base", 0), tiny.gemma3_text(tmp_path / "donor", 1)
    (base / "sampler.json").write_text('{"top_k": 64, "saved": "today"}')
    out = tmp_path / "out"
    run_recipe(recipe_text(base, donor), out, engine=engine)
    (out / "sampler.json").write_text('{"top_k": 64, "saved": "later"}')
    assert "sampler.json means what the base's means" in verify(out).proved
    (out / "sampler.json").write_text('{"top_k": 1}')
    assert [str(one) for one in verify(out).violated] == ["sampler.json: top_k is 1, in the base it is 64"]
