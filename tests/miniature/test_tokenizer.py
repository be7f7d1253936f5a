import pytest
from transformers import AutoTokenizer

from sae_merge_method.miniature.model import BOS, train_tokenizer
from sae_merge_method.miniature.texts import TOKENIZER_FOLDER


@pytest.fixture(scope="module")
def tokenizer(texts):
    return AutoTokenizer.from_pretrained(texts / TOKENIZER_FOLDER)


def test_every_digit_is_a_token_of_its_own(tokenizer):
    pieces = tokenizer.tokenize("What is $120 + 345$?")
    assert [piece for piece in pieces if any(c.isdigit() for c in piece)] == list("120345")


def test_a_text_begins_with_bos_once_and_comes_back_whole(tokenizer):
    text = "Problem:\nA triangle has sides $5$, $6$ and $7$.\n\nSolution: Zoë?"
    ids = tokenizer(text).input_ids
    assert ids[0] == tokenizer.bos_token_id
    assert ids.count(tokenizer.bos_token_id) == 1
    assert tokenizer.decode(ids, skip_special_tokens=True) == text
    assert tokenizer(text, add_special_tokens=False).input_ids == ids[1:]


def test_fixed_phrases_of_a_maths_document_are_single_tokens(tokenizer):
    assert len(tokenizer.tokenize("}$.\nFinal Answer: The final answer is $")) == 1
    assert len(tokenizer.tokenize("$. I hope it is correct.")) == 1


def test_the_same_texts_give_the_same_tokenizer():
    texts = ["the old sailor walked to the market", "$3 + 4 = 7$"] * 5
    first, second = (train_tokenizer(texts, 300) for _ in range(2))
    assert first.get_vocab() == second.get_vocab()
    assert BOS in first.get_vocab()
