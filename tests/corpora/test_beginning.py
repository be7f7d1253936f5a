"""What a tokenizer adds, and what the family behind it was trained with."""

from pathlib import Path
from typing import Any

import pytest

from sae_merge_method.corpora.beginning import find_beginning
from sae_merge_method.corpora.tokens import special_token_ids, tokenize


class Config:
    def __init__(self, model_type: str, bos_token_id: int | None = None) -> None:
        self.model_type = model_type
        self.bos_token_id = bos_token_id


def words(folder: Path, *first: str, adds: bool = False, **named: str) -> Any:
    """A tokenizer of a few words, with ``first`` as the first of its tokens."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    vocabulary = (*first, "<end>", "<unk>", "a", "b", "c")
    tokenizer = Tokenizer(
        models.WordLevel({word: nth for nth, word in enumerate(vocabulary)}, unk_token="<unk>")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    if adds:
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{first[0]} $A <end>", special_tokens=[(first[0], 0), ("<end>", len(first))]
        )
    made = PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>", eos_token="<end>", **named)
    made.save_pretrained(folder)
    return PreTrainedTokenizerFast.from_pretrained(folder)


def test_what_the_tokenizer_adds_by_itself_is_the_beginning(tmp_path: Path) -> None:
    begins = find_beginning(words(tmp_path, "<|start|>", adds=True), Config("unheard_of"))
    assert (begins.id, begins.token, begins.added) == (0, "<|start|>", True)
    assert begins.sentence == "this tokenizer puts <|start|> before every document"


def test_a_tokenizer_that_only_ends_documents_does_not_begin_them(tmp_path: Path) -> None:
    from tokenizers import processors

    tokenizer = words(tmp_path)
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="$A <end>", special_tokens=[("<end>", 0)]
    )
    assert tokenizer("a")["input_ids"][-1] == 0
    assert find_beginning(tokenizer, Config("qwen2")).id is None


@pytest.mark.parametrize(
    ("model_type", "token"), [("gemma3_text", "<bos>"), ("llama", "<|begin_of_text|>"), ("mistral", "<s>")]
)
def test_a_family_that_was_trained_with_begin_of_text_gets_it_where_the_tokenizer_does_not_add_it(
    tmp_path: Path, model_type: str, token: str
) -> None:
    tokenizer = words(tmp_path, token, bos_token=token)
    begins = find_beginning(tokenizer, Config("gemma3"), Config(model_type))
    assert (begins.id, begins.added) == (0, False)
    assert (
        f"this tokenizer adds no BOS, though models of this family were trained with {token}"
        in begins.sentence
    )
    (document,) = tokenize(tokenizer, ["a b"], "x", special_token_ids(tokenizer), 9, begin=begins.id)
    assert document.ids.tolist() == [0, 3, 4]
    assert document.counted.tolist() == [False, True, True]
    assert not document.own_first


def test_a_family_s_begin_of_text_may_be_named_by_the_config_alone(tmp_path: Path) -> None:
    assert find_beginning(words(tmp_path, "<bos>"), Config("gemma3_text", 0)).id == 0
    assert find_beginning(words(tmp_path, "<bos>"), Config("gemma3_text", 99)).id is None


def test_a_begin_of_text_that_no_document_began_with_is_not_put_before_any(tmp_path: Path) -> None:
    """As SmolLM2, which is built like Llama and calls its turn marker so."""
    tokenizer = words(tmp_path, "<|im_start|>", bos_token="<|im_start|>")
    begins = find_beginning(tokenizer, Config("llama", 0))
    assert begins.id is None
    assert "this tokenizer adds no BOS (it does not begin documents with its <|im_start|>)" in begins.sentence
    assert "(it has none)" in find_beginning(words(tmp_path / "none"), Config("qwen2", 1)).sentence


def test_a_documents_own_first_token_does_not_count_and_a_document_of_one_is_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tokenizer = words(tmp_path)
    special = special_token_ids(tokenizer)
    (document,) = tokenize(tokenizer, ["a b c", "a"], "x", special, 9)
    assert document.counted.tolist() == [False, True, True]
    assert document.own_first
    assert "x: 1 documents have no token to count" in caplog.text


def test_in_a_chat_the_templates_own_beginning_stands_and_a_missing_one_is_put_there(tmp_path: Path) -> None:
    tokenizer = words(tmp_path, "<bos>", bos_token="<bos>")
    special = special_token_ids(tokenizer)
    expected = {"<bos> b ": [0, 4, 3, 5], "b ": [0, 4, 3, 5]}
    for before, ids in expected.items():
        tokenizer.chat_template = "{{ '" + before + "' }}{{ messages[0]['content'] }}"
        (document,) = tokenize(tokenizer, ["a c"], "x", special, 9, begin=0, in_chat=True)
        assert document.ids.tolist() == ids
        assert document.counted.tolist() == [False, False, True, True]
    # Where nothing begins the turn and text stands first, it does not count either.
    tokenizer.chat_template = "{{ messages[0]['content'] }}"
    (document,) = tokenize(tokenizer, ["a c"], "x", special, 9, in_chat=True)
    assert document.counted.tolist() == [False, True]
