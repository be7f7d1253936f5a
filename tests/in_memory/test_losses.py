"""A document's nats are those that lm-eval tells of it."""

import copy

import numpy as np
import pytest
import torch

from sae_merge_method.corpora.batches import make_batches
from sae_merge_method.corpora.documents import Corpus
from sae_merge_method.corpora.reading import Problem
from sae_merge_method.corpora.tokens import Document
from sae_merge_method.in_memory.losses import _CACHED, nats, token_nats, total_nats
from sae_merge_method.in_memory.texts import to_predict
from sae_merge_method.loaded.text_model import load_text_model
from tests.in_memory.models import TEXTS, llama


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return load_text_model(str(llama(tmp_path_factory.mktemp("llama") / "base")), with_head=True)


def test_a_documents_nats_are_lm_evals(model):
    from lm_eval.models.huggingface import HFLM

    from sae_merge_method.experiment.likelihoods import log_likelihoods

    lm = HFLM(pretrained=model.causal, tokenizer=model.tokenizer, device="cpu", batch_size=1)
    theirs, tokens = log_likelihoods(lm, TEXTS)
    documents = to_predict(model.tokenizer, Corpus("texts", "", TEXTS), 64)
    assert [int(document.counted.sum()) for document in documents] == list(tokens)
    ours = total_nats(model, list(make_batches(documents, 16)))
    assert [ours[nth] for nth in range(len(TEXTS))] == pytest.approx(theirs, abs=1e-4)


def test_an_answers_nats_are_lm_evals(model):
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    problems = (Problem("m1 m2 ", "p1 c1"), Problem("m3", " m4 m5 m6"), Problem("", "c1 c2"))
    lm = HFLM(pretrained=model.causal, tokenizer=model.tokenizer, device="cpu", batch_size=1)
    asked = [Instance("loglikelihood", {}, tuple(problem), nth) for nth, problem in enumerate(problems)]
    theirs = [-log_p for log_p, _ in lm.loglikelihood(asked)]
    documents = to_predict(model.tokenizer, of_problems(*problems), 64)
    ours = total_nats(model, list(make_batches(documents, 100)))
    assert [ours[nth] for nth in range(3)] == pytest.approx(theirs, abs=1e-4)


CHAT = (
    "{% for m in messages %}<start_of_turn> {{ m['content'] }} <end_of_turn>{% endfor %}"
    "{% if add_generation_prompt %} <start_of_turn>{% endif %}"
)


def of_problems(*problems: Problem) -> Corpus:
    return Corpus("problems", "", tuple(map("".join, problems)), None, problems)


@pytest.mark.parametrize("template", [CHAT, "{{ bos_token }} " + CHAT])
def test_an_answers_nats_in_a_chat_are_lm_evals_whoever_writes_its_begin_token(model, template):
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    tokenizer = copy.deepcopy(model.tokenizer)
    tokenizer.chat_template = template
    lm = HFLM(pretrained=model.causal, tokenizer=tokenizer, device="cpu", batch_size=1)
    problems = (Problem("m1 m2", " p1 c1"), Problem("m3", " m4 m5 m6"))
    chats = [lm.apply_chat_template([{"role": "user", "content": one.prompt}]) for one in problems]
    asked = [
        Instance("loglikelihood", {}, (chat, one.completion), nth)
        for nth, (chat, one) in enumerate(zip(chats, problems, strict=True))
    ]
    theirs = [-log_p for log_p, _ in lm.loglikelihood(asked)]
    documents = to_predict(tokenizer, of_problems(*problems), 64, in_chat=True)
    ours = total_nats(model, list(make_batches(documents, 100)))
    assert [ours[nth] for nth in range(2)] == pytest.approx(theirs, abs=1e-4)


@pytest.mark.parametrize(("end", "templates_own"), [("\n", 1), (" ", 0)])
def test_a_chat_is_tokenized_as_lm_eval_does_and_its_templates_last_white_space_is_read(
    model, end, templates_own
):
    """But where that and the answer's beginning are one token."""
    from lm_eval.models.huggingface import HFLM

    tokenizer = byte_by_byte("Q:{{ messages[0]['content'] }} A:{{ " + repr(end) + " }}")
    lm = HFLM(pretrained=model.causal, tokenizer=tokenizer, device="cpu", batch_size=1)
    chat = lm.apply_chat_template([{"role": "user", "content": "21+21"}])
    assert chat == f"Q:21+21 A:{end}"
    before, predicted = lm._encode_pair(chat, "42")
    (document,) = to_predict(tokenizer, of_problems(Problem("21+21", "42")), 64, in_chat=True)
    assert document.ids.tolist() == before + predicted
    assert document.ids[document.counted].tolist() == predicted[templates_own:]


def byte_by_byte(template: str):
    """A tokenizer of bytes, but that a space and a 4 behind it are one token."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    words = ["<bos>", "<eos>", *sorted(pre_tokenizers.ByteLevel.alphabet()), "Ġ4"]
    tokenizer = Tokenizer(models.BPE({word: nth for nth, word in enumerate(words)}, [("Ġ", "4")]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.TemplateProcessing(single="<bos> $A", special_tokens=[("<bos>", 0)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<bos>",
        eos_token="<eos>",
        pad_token="<eos>",
        chat_template=template,
    )


def test_only_the_tokens_that_count_are_predicted(model):
    ids = np.array([2, 6, 7, 8, 9])
    parts = [np.array([False, True, True, False, False]), np.array([False, False, False, True, True])]
    each = [Document(ids, counted) for counted in (*parts, parts[0] | parts[1])]
    answers = total_nats(model, list(make_batches(each, 100)))
    assert answers[0] + answers[1] == pytest.approx(answers[2], abs=1e-4)


def test_gradients_are_those_of_the_mean_in_one_batch_or_several(model):
    documents = to_predict(model.tokenizer, Corpus("texts", "", TEXTS), 64)
    model.causal.requires_grad_(True)
    weight = model.blocks[0].mlp.up_proj.weight
    grads = []
    for size in (1000, 8):
        weight.grad = None
        for batch in make_batches(documents, size):
            nats(model, batch).sum().backward()
        grads.append(weight.grad.clone())
    model.causal.requires_grad_(False)
    torch.testing.assert_close(*grads, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_rows_that_a_processor_takes_at_a_time_are_those_of_the_whole(dtype):
    torch.manual_seed(0)
    logits = (3 * torch.randn(5, _CACHED // 2)).to(dtype).requires_grad_()  # two rows, two rows and one
    following = torch.tensor([3, 1, 4, 1, 5])
    of_rows = token_nats(logits, following)
    (gradient,) = torch.autograd.grad(of_rows.sum(), logits)
    whole = torch.nn.functional.cross_entropy(logits.float(), following, reduction="none")
    (expected,) = torch.autograd.grad(whole.sum(), logits)
    assert torch.equal(of_rows, whole) and torch.equal(gradient, expected)


@pytest.mark.parametrize("share", [False, True])
def test_which_logits_are_wanted_is_no_tensor_that_could_lie_on_another_device_than_the_last_states(
    model, share
):
    """Every tensor that a model spread over several devices is given, accelerate sends to the first."""
    from accelerate.utils import send_to_device

    texts = Corpus("texts", "", tuple(f"m1 m2 m3 m4 m5 p{nth}" for nth in range(4)))
    documents = [last_alone(one) for one in to_predict(model.tokenizer, texts, 64)]
    (batch,) = make_batches(documents, 100)
    alone = nats(model, batch, share=share)

    def with_wanted(change):
        def given(_, args, inputs):
            return args, inputs | {"logits_to_keep": change(inputs["logits_to_keep"])}

        hook = model.causal.register_forward_pre_hook(given, with_kwargs=True)
        try:
            return nats(model, batch, share=share)
        finally:
            hook.remove()

    assert torch.equal(with_wanted(lambda wanted: send_to_device(wanted, "meta")), alone)
    as_tensor = with_wanted(lambda wanted: torch.tensor(wanted) if isinstance(wanted, list) else wanted)
    assert torch.equal(as_tensor, alone)


def last_alone(document: Document) -> Document:
    """Its last token alone is predicted."""
    return document._replace(counted=np.arange(len(document.ids)) == len(document.ids) - 1)
