"""The one table of files beside the weights, and who reads it."""

import inspect
import json
import re
from fnmatch import fnmatch
from importlib.resources import files

import pytest

from sae_merge_method.models.beside_weights import (
    SIDE_FILES,
    WANTED_FILES,
    BesideWeights,
    files_to_take,
    is_wanted,
)
from sae_merge_method.models.checkpoint import JOURNAL_FOLDER
from sae_merge_method.verify.audit import verify
from tests import tiny
from tests.recipes import recipe_text, run_recipe


@pytest.mark.parametrize("name", [name for name, row in SIDE_FILES.items() if row.taken != "never"])
def test_every_file_is_fetched_with_a_model(name):
    assert any(fnmatch(name, pattern) for pattern in WANTED_FILES)


def test_every_file_that_mergekit_copies_has_a_row():
    from mergekit import merge

    copied = set(
        re.findall(r'"([\w.]+\.(?:json|jinja|txt|model))"', inspect.getsource(merge._copy_tokenizer))
    )
    assert "generation_config.json" in copied
    gemma = json.loads((files("mergekit") / "_data/architectures/gemma3vl.json").read_text())
    named = copied | set(gemma["tagalong_files"])
    assert not [name for name in named if not any(row.fits(name) for row in SIDE_FILES.values())]


def test_every_file_that_transformers_reads_a_decoders_tokenizer_from_has_a_row():
    from transformers import tokenization_utils_base as base
    from transformers.utils import CHAT_TEMPLATE_DIR, CHAT_TEMPLATE_FILE, LEGACY_PROCESSOR_CHAT_TEMPLATE_FILE

    names = {value for name, value in vars(base).items() if re.fullmatch(r"[A-Z_]+_FILE", name)}
    names |= {CHAT_TEMPLATE_FILE, LEGACY_PROCESSOR_CHAT_TEMPLATE_FILE, f"{CHAT_TEMPLATE_DIR}/rag.jinja"}
    names |= {"vocab.txt", "spiece.model", "sentencepiece.bpe.model", "tekken.json", "tokenizer.4.50.0.json"}
    assert "added_tokens.json" in names
    assert not [name for name in names if not any(row.fits(name) for row in SIDE_FILES.values())]


def test_a_tokenizer_that_is_not_wanted_stays_and_a_processor_comes_along(tmp_path):
    templates = tmp_path / "additional_chat_templates"
    templates.mkdir()
    for name in ("config.json", "generation_config.json", "chat_template.jinja", "processor_config.json"):
        (tmp_path / name).touch()
    for name in ("spiece.model", "modeling_x.py", "notes.txt", "additional_chat_templates/rag.jinja"):
        (tmp_path / name).touch()
    always = ["config.json", "generation_config.json", "processor_config.json"]
    assert [*files_to_take(tmp_path, tokenizer=False)] == always
    taken = [name for name in files_to_take(tmp_path, tokenizer=True) if name not in always]
    assert taken == ["spiece.model", "chat_template.jinja", "additional_chat_templates/rag.jinja"]


def test_a_models_code_is_never_fetched_and_its_pickles_neither():
    for name in ("modeling_x.py", "custom_generate/generate.py", "pytorch_model.bin", "model.gguf"):
        assert not any(fnmatch(name, pattern) for pattern in WANTED_FILES) and not is_wanted(name)


def test_a_journal_of_an_edit_in_place_is_not_fetched_as_its_originals_would_not_be():
    assert is_wanted("model.safetensors") and is_wanted("additional_chat_templates/rag.jinja")
    for name in ("journal.json", "originals.bin", "kept/config.json", "kept/edit_report.json"):
        assert not is_wanted(f"{JOURNAL_FOLDER}/{name}")


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
