"""A forward pass gives the residual stream: against transformers' own hidden states."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sae_merge_method.corpora.batches import Batch, make_batches
from sae_merge_method.corpora.tokens import Document
from sae_merge_method.loaded.residual_stream import forward
from sae_merge_method.loaded.text_model import TextModel, load_text_model
from tests.diagnose import hosts


def save_gpt2(folder: Path) -> Path:
    from transformers import GPT2Config, GPT2LMHeadModel

    GPT2LMHeadModel(
        GPT2Config(vocab_size=32, n_positions=64, n_embd=32, n_layer=3, n_head=2)
    ).save_pretrained(folder)
    hosts.save_tokenizer(folder)
    return folder


def of_family(name: str) -> Callable[[Path], Path]:
    """Saves a tiny random model of one of transformers' families that share Llama's settings."""

    def save(folder: Path) -> Path:
        import transformers

        torch.manual_seed(0)
        config = getattr(transformers, f"{name}Config")(
            vocab_size=32,
            hidden_size=32,
            intermediate_size=32,
            num_hidden_layers=3,
            num_attention_heads=2,
            num_key_value_heads=1,
            head_dim=16,
            max_position_embeddings=64,
            bos_token_id=2,
            eos_token_id=1,
            pad_token_id=0,
        )
        getattr(transformers, f"{name}ForCausalLM")(config).save_pretrained(folder)
        hosts.save_tokenizer(folder)
        return folder

    return save


def save_gemma3_multimodal(folder: Path) -> Path:
    from transformers import Gemma3Config, Gemma3ForConditionalGeneration

    vision = {
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 6,
        "num_attention_heads": 2,
        "image_size": 28,
        "patch_size": 14,
    }
    config = Gemma3Config(
        text_config=hosts.text_settings(3),
        vision_config=vision,
        mm_tokens_per_image=4,
        boi_token_index=29,
        eoi_token_index=30,
        image_token_index=31,
    )
    Gemma3ForConditionalGeneration(config).save_pretrained(folder)
    hosts.save_tokenizer(folder)
    return folder


BUILDERS = {
    "gemma3": hosts.random_gemma3,
    "gemma3 multimodal": save_gemma3_multimodal,
    **{name.lower(): of_family(name) for name in ("Gemma2", "Llama", "Mistral", "Qwen2", "Qwen3")},
    "gpt2": save_gpt2,
}


@pytest.fixture(scope="module", params=BUILDERS)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> TextModel:
    return load_text_model(str(BUILDERS[request.param](tmp_path_factory.mktemp("model") / "model")))


def documents(*lengths: int) -> list[Document]:
    random = np.random.default_rng(0)
    return [Document(random.integers(6, 29, n), np.arange(n) > 0) for n in lengths]


def residuals(model: TextModel, batch: Batch, layers: list[int]) -> dict[int, torch.Tensor]:
    return forward(model, batch, dict.fromkeys(layers, torch.Tensor.clone))


def test_every_document_is_in_one_batch_and_batches_stay_within_their_tokens() -> None:
    lengths = [3, 9, 1, 4, 4, 7, 30, 2]
    documents = [Document(np.arange(n), np.ones(n, dtype=bool)) for n in lengths]
    batches = list(make_batches(documents, tokens_per_batch=16))
    assert sorted(place for batch in batches for place in batch.documents) == list(range(len(lengths)))
    assert all(batch.ids.size <= 16 or len(batch.documents) == 1 for batch in batches)
    for batch in batches:
        assert batch.attention.sum(axis=1).tolist() == [lengths[place] for place in batch.documents]


def test_what_is_used_is_every_blocks_output_and_the_last_before_the_final_norm(model: TextModel) -> None:
    n_layers = len(model.blocks)
    (batch,) = make_batches(documents(9), 64)
    streams = residuals(model, batch, list(range(n_layers)))
    with torch.inference_mode():
        reference: Any = model.decoder(input_ids=torch.from_numpy(batch.ids), output_hidden_states=True)
        final_norm = getattr(model.decoder, "norm", None) or model.decoder.ln_f
        last: Any = final_norm(streams[n_layers - 1])
    for layer in range(n_layers - 1):
        assert torch.equal(streams[layer], reference.hidden_states[layer + 1][0, 1:])
    torch.testing.assert_close(last, reference.last_hidden_state[0, 1:])
    assert not torch.allclose(streams[n_layers - 1], reference.last_hidden_state[0, 1:])


def test_padding_changes_no_document(model: TextModel) -> None:
    both = documents(12, 5)
    (batch,) = make_batches(both, 64)
    streams = residuals(model, batch, [0, 2])
    for layer in (0, 2):
        parts = streams[layer].split([11, 4])
        for document, part in zip(both, parts, strict=True):
            (alone,) = make_batches([document], 64)
            torch.testing.assert_close(residuals(model, alone, [layer])[layer], part, atol=1e-5, rtol=1e-5)


def test_the_pass_stops_after_the_last_wanted_layer_and_leaves_no_hook(model: TextModel) -> None:
    def hooks() -> list[int]:
        return [len(block._forward_hooks) for block in model.blocks]

    (batch,) = make_batches(documents(4), 64)
    residuals(model, batch, [0])  # transformers may put hooks of its own in place on the first pass
    before = hooks()
    reached: list[int] = []
    handle = model.blocks[1].register_forward_hook(lambda *_: reached.append(1))
    assert list(residuals(model, batch, [0])) == [0]
    assert reached == []
    handle.remove()
    assert hooks() == before


def test_a_model_spread_over_all_devices_has_the_same_stream(gemma3: Path) -> None:
    (batch,) = make_batches(documents(9), 64)
    spread, alone = (
        residuals(load_text_model(str(gemma3), device=at), batch, [0, 3]) for at in (None, "cpu")
    )
    assert all(torch.equal(spread[layer], alone[layer]) for layer in alone)
