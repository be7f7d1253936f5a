"""What stands beside the weights: mergekit's card and the recipe, word for word."""

import json
from pathlib import Path

import pytest
import yaml

from sae_merge_method.errors import MergeError
from sae_merge_method.verify.audit import verify
from tests import tiny
from tests.merged import BESIDE_IMAGES
from tests.recipes import recipe_text, run_recipe


def test_the_card_is_mergekits_own_word_for_word(tmp_path, monkeypatch):
    from mergekit.card import generate_card
    from mergekit.config import MergeConfiguration

    from sae_merge_method.hosts.register import register_merge_methods
    from sae_merge_method.merge.beside_weights import card_text
    from sae_merge_method.recipe.methods import parse_recipe
    from sae_merge_method.recipe.plan import plan_edit

    register_merge_methods()
    monkeypatch.chdir(tmp_path)
    for donor in ("/abs/donor", "someone/donor", "someone/donor@main+other/lora", "single"):
        source = recipe_text(Path("google/base"), Path(donor))
        plan = plan_edit(parse_recipe(source, "r"), (1,), 4)
        config = MergeConfiguration.model_validate(yaml.safe_load(source))
        ours, theirs = card_text(source, plan, "out"), generate_card(config, source, "out")
        # mergekit lists the models in an order that changes run by run.
        assert sorted(ours.splitlines()) == sorted(theirs.splitlines())


def test_the_recipe_is_kept_as_it_was_written(tmp_path, base, donor, merge):
    source = recipe_text(base, donor, tail="sae_evidence: {score: kl_bits}  # as it was heard\n")
    merge(source)
    assert (tmp_path / "out" / "mergekit_config.yml").read_text() == source
    assert source in (tmp_path / "out" / "README.md").read_text()


@pytest.mark.parametrize("asked", ["tokenizer_source: base\n", "tokenizer: {source: base}\n"])
def test_the_bases_tokenizer_is_copied_as_it_is_where_the_recipe_asks_for_it(
    tmp_path, base, donor, merge, asked
):
    """Though it has fewer entries than the embedding has rows: mergekit would cut those off."""
    tokenizer = {"tokenizer.json": '{"model": {"vocab": {"a": 0}}}', "tokenizer_config.json": "{}"}
    for name, content in tokenizer.items():
        (base / name).write_text(content)
    report = merge(recipe_text(base, donor, tail=asked))
    assert report == merge(recipe_text(base, donor), "plain").model_copy(update={"request": report.request})
    assert {name: (tmp_path / "out" / name).read_text() for name in tokenizer} == tokenizer
    assert same_weights(tmp_path / "out", tmp_path / "plain")


def test_a_processor_comes_along_wherever_it_stands(tmp_path, base, donor, merge):
    """Whatever its config says the model to be: Qwen2.5-VL's was published without a text_config."""
    for name, content in BESIDE_IMAGES.items():
        (base / name).write_text(json.dumps(content))
    merge(recipe_text(base, donor))
    for name in BESIDE_IMAGES:
        assert (tmp_path / "out" / name).read_bytes() == (base / name).read_bytes()


TOKENIZER = {
    **{
        "tokenizer.json": "{}",
        "tekken.json": "{}",
        "vocab.json": "{}",
        "vocab.txt": "a\n",
        "merges.txt": "a b\n",
    },
    **{"qwen.tiktoken": "YQ== 0\n", "spiece.model": "a", "chat_template.jinja": "{{ messages }}"},
    "additional_chat_templates/rag.jinja": "{{ documents }}",
}
"""Without tokenizer_config.json, which no loader needs."""


def test_every_file_of_a_tokenizer_comes_along_unless_none_is_wanted(tmp_path, base, donor, merge):
    (base / "additional_chat_templates").mkdir()
    for name, content in TOKENIZER.items():
        (base / name).write_text(content)
    merge(recipe_text(base, donor))
    assert {name: (tmp_path / "out" / name).read_text() for name in TOKENIZER} == TOKENIZER
    merge(recipe_text(base, donor), "without", copy_tokenizer=False)
    assert not [name for name in TOKENIZER if (tmp_path / "without" / name).exists()]


@pytest.mark.parametrize("name", ["plain", "base@1+chat"])
def test_another_chat_template_stands_in_the_bases_tokenizer_without_the_bases_own(
    tmp_path, base, donor, caplog, name
):
    base = base.rename(tmp_path / name)
    write_tokenizer(base)
    (base / "additional_chat_templates").mkdir()
    for name in ("vocab.txt", "chat_template.json", "additional_chat_templates/rag.jinja"):
        (base / name).write_text("{}")
    run_recipe(recipe_text(base, donor, tail="chat_template: chatml\n"), tmp_path / "out")
    assert "hands over to mergekit" in caplog.text
    written = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*")}
    assert {"tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "vocab.txt"} <= written
    assert "<|im_start|>" in (tmp_path / "out/chat_template.jinja").read_text()
    assert not {"chat_template.json", "additional_chat_templates/rag.jinja"} & written
    assert verify(tmp_path / "out").sound


@pytest.mark.parametrize(
    ("template", "options", "with_tokenizer", "reason"),
    [
        ("chatml", {}, False, "base has none"),
        ("chatml", {"copy_tokenizer": False}, True, "--no-copy-tokenizer wants none"),
        ("neither", {}, True, "mergekit has written no tokenizer with it"),
    ],
)
def test_a_chat_template_that_would_stand_nowhere_is_an_error(
    tmp_path, base, donor, template, options, with_tokenizer, reason
):
    if with_tokenizer:
        write_tokenizer(base)
    source = recipe_text(base, donor, tail=f"chat_template: {template}\n")
    with pytest.raises(MergeError, match=reason):
        run_recipe(source, tmp_path / "out", options=options)
    assert not (tmp_path / "out").exists()


def write_tokenizer(folder: Path) -> None:
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(WordLevel({"<unk>": 0, "a": 1}, unk_token="<unk>"))
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>").save_pretrained(folder)


def same_weights(one: Path, other: Path) -> bool:
    left, right = tiny.load_tensors(one), tiny.load_tensors(other)
    return left.keys() == right.keys() and all(tiny.same_bytes(left[name], right[name]) for name in left)
