"""What a surface twin holds of a text, and what of the twin does not count for it."""

from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from sae_merge_method.corpora.held import held_bits, held_characters, put_on_held
from sae_merge_method.corpora.token_classes import TOKEN_CLASSES, class_bits, classify
from sae_merge_method.corpora.tokens import Document, special_token_ids, tokenize
from tests.diagnose import hosts

FRAME = "c0 c1 c2"
TEXTS = [f"{FRAME} m{nth} p{nth} m{nth} " for nth in range(6)]
TEMPLATE = class_bits(["template"])


@pytest.fixture(params=[True, False], ids=["begun", "bare"])
def tokenizer(tmp_path: Any, request: pytest.FixtureRequest) -> Any:
    hosts.save_tokenizer(tmp_path, adds_bos=request.param)
    return PreTrainedTokenizerFast.from_pretrained(tmp_path)


def taken(tokenizer: Any, texts: list[str], max_length: int = 64, **settings: Any) -> tuple[Document, ...]:
    special = special_token_ids(tokenizer)
    documents = tokenize(tokenizer, texts, "a", special, max_length, placed=True, **settings)
    return classify(documents, lambda token: tokenizer.decode([token]))


def held(document: Document, text: str) -> str:
    characters = held_characters(document, len(text), TEMPLATE)
    return "".join(one if of_class else "." for one, of_class in zip(text, characters, strict=True))


def test_only_what_a_tokens_text_does_not_decide_is_held() -> None:
    assert held_bits(("digits", "newlines", "punctuation")) == 0
    assert held_bits(("digits", "template")) == TEMPLATE
    assert [name for name, row in TOKEN_CLASSES.items() if not row.by_text] == ["template"]


def test_a_template_is_held_and_so_is_what_the_model_does_not_read(tokenizer: Any) -> None:
    texts = [f"{FRAME} c3 {text}" for text in TEXTS]  # the first of it does not count without begin-of-text
    behind = "." * len("m0 p0 m0") + " "
    assert held(taken(tokenizer, texts)[0], texts[0]).replace(" ", ".").startswith("c0.c1.c2.c3.c0.c1.c2.")
    assert held(taken(tokenizer, texts)[0], texts[0]).endswith(f"2.{behind}")
    begun = tokenizer("").input_ids != []
    cut = taken(tokenizer, texts, max_length=8 + begun)[0]
    assert held(cut, texts[0]).endswith("c2... p0 m0 ")


def test_in_a_chat_the_same_is_held(tokenizer: Any) -> None:
    tokenizer.chat_template = "<bos> <start_of_turn> p7 {{ messages[0]['content'] | trim }} p7 <end_of_turn>"
    texts = [f"  {text}" for text in TEXTS]
    document = taken(tokenizer, texts, in_chat=True)[0]
    assert held(document, texts[0]) == "..c0.c1.c2......... "


def test_of_a_twin_what_stands_on_held_characters_is_of_the_class_and_nothing_else(tokenizer: Any) -> None:
    twin = "m0 c0 c1 c2 p0 m0"
    document = taken(tokenizer, [twin, twin])[0]
    characters = np.array([*"...xx.x..........".replace("x", "1").replace(".", "0")]) == "1"
    put = put_on_held(document, twin, characters, TEMPLATE)
    words = [hosts.WORDS[number] for number in put.ids[(put.classes & TEMPLATE) > 0]]
    assert words == ["c0", "c1"]
    assert np.array_equal(put.classes & ~np.uint32(TEMPLATE), document.classes & ~np.uint32(TEMPLATE))


def bytes_tokenizer(*, trims: bool) -> Any:
    """A space belongs to the word behind it, and is a token of its own before a digit; it may stand in no span."""
    made = Tokenizer(models.BPE())
    digits = pre_tokenizers.Digits(individual_digits=True)
    made.pre_tokenizer = pre_tokenizers.Sequence([digits, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    made.decoder, made.post_processor = decoders.ByteLevel(), processors.ByteLevel(trim_offsets=trims)
    words = [" ".join(("ask", "told", "has", "more", "left")) + " ask"] * 9
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(words, trainers.BpeTrainer(initial_alphabet=alphabet, show_progress=False))
    return PreTrainedTokenizerFast(tokenizer_object=made)


def of_template(document: Document, words: list[str]) -> Document:
    """The document with its first tokens, these, in the class."""
    classes = document.classes & np.uint32(~TEMPLATE & 0xFFFFFFFF)
    classes[: len(words)] |= np.uint32(TEMPLATE)
    return document._replace(classes=classes)


def template(tokenizer: Any, document: Document) -> list[str]:
    """Its tokens that are in the class."""
    numbers = document.ids[(document.classes & TEMPLATE) > 0]
    return [tokenizer.decode([number]) for number in numbers]


@pytest.mark.parametrize("trims", [False, True])
def test_a_space_held_holds_no_word_that_brings_it_along_and_no_other_space_is_held(trims: bool) -> None:
    tokenizer = bytes_tokenizer(trims=trims)
    text, twin = "ask 7 has 5 more", "ask has 7 more 5"
    document, other = taken(tokenizer, [text])[0], taken(tokenizer, [twin])[0]
    characters = held_characters(of_template(document, ["ask", " "]), len(text), TEMPLATE)
    assert [nth for nth, of_class in enumerate(characters) if of_class] == [0, 1, 2, 3]
    assert template(tokenizer, put_on_held(document, text, characters, TEMPLATE)) == ["ask", " "]
    assert template(tokenizer, put_on_held(other, twin, characters, TEMPLATE)) == ["ask"]
