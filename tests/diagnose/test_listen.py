"""What the hooks hear is the residual stream: against transformers' own hidden states."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sae_merge_method.corpora.tokens import Batch, Document, make_batches
from sae_merge_method.diagnose.model import TextModel, load_text_model
from sae_merge_method.diagnose.residual_stream import listen
from sae_merge_method.errors import ModelError, UsageError
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


def hear(model: TextModel, batch: Batch, layers: list[int]) -> dict[int, torch.Tensor]:
    heard: dict[int, torch.Tensor] = {}
    listen(model, batch, layers, heard.__setitem__)
    return heard


def test_hooks_hear_every_blocks_output_and_the_last_before_the_final_norm(model: TextModel) -> None:
    n_layers = len(model.blocks)
    (batch,) = make_batches(documents(9), 64)
    heard = hear(model, batch, list(range(n_layers)))
    with torch.inference_mode():
        reference: Any = model.decoder(input_ids=torch.from_numpy(batch.ids), output_hidden_states=True)
        final_norm = getattr(model.decoder, "norm", None) or model.decoder.ln_f
        last: Any = final_norm(heard[n_layers - 1])
    for layer in range(n_layers - 1):
        assert torch.equal(heard[layer], reference.hidden_states[layer + 1][0, 1:])
    torch.testing.assert_close(last, reference.last_hidden_state[0, 1:])
    assert not torch.allclose(heard[n_layers - 1], reference.last_hidden_state[0, 1:])


def test_padding_changes_no_document(model: TextModel) -> None:
    both = documents(12, 5)
    (batch,) = make_batches(both, 64)
    heard = hear(model, batch, [0, 2])
    for layer in (0, 2):
        parts = heard[layer].split([11, 4])
        for document, part in zip(both, parts, strict=True):
            (alone,) = make_batches([document], 64)
            torch.testing.assert_close(hear(model, alone, [layer])[layer], part, atol=1e-5, rtol=1e-5)


def test_the_pass_stops_after_the_last_wanted_layer_and_leaves_no_hook(model: TextModel) -> None:
    def hooks() -> list[int]:
        return [len(block._forward_hooks) for block in model.blocks]

    (batch,) = make_batches(documents(4), 64)
    hear(model, batch, [0])  # transformers may put hooks of its own in place on the first pass
    before = hooks()
    reached: list[int] = []
    handle = model.blocks[1].register_forward_hook(lambda *_: reached.append(1))
    assert list(hear(model, batch, [0])) == [0]
    assert reached == []
    handle.remove()
    assert hooks() == before


def test_a_checkpoint_with_a_missing_weight_is_refused_not_filled_at_random(
    gemma3: Path, tmp_path: Path
) -> None:
    import shutil

    from safetensors.torch import load_file, save_file

    folder = Path(shutil.copytree(gemma3, tmp_path / "model"))
    tensors = load_file(folder / "model.safetensors")
    del tensors["model.layers.1.mlp.up_proj.weight"]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"1 weights .* would be random.*layers.1.mlp.up_proj"):
        load_text_model(str(folder))


def test_a_checkpoint_with_more_layers_than_its_config_is_refused(gemma3: Path, tmp_path: Path) -> None:
    import json
    import shutil

    folder = Path(shutil.copytree(gemma3, tmp_path / "model"))
    config = json.loads((folder / "config.json").read_text())
    config |= {"num_hidden_layers": 3, "layer_types": config["layer_types"][:3]}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match=r"would go unused.*layers\.3"):
        load_text_model(str(folder))


def test_float16_is_refused_on_gemma_3(gemma3: Path) -> None:
    with pytest.raises(ModelError, match="float16 overflows on Gemma 3"):
        load_text_model(str(gemma3), dtype="float16")


def test_a_model_spread_over_all_devices_hears_the_same(gemma3: Path) -> None:
    (batch,) = make_batches(documents(9), 64)
    spread, alone = (hear(load_text_model(str(gemma3), device=at), batch, [0, 3]) for at in (None, "cpu"))
    assert all(torch.equal(spread[layer], alone[layer]) for layer in alone)


def test_what_is_no_model_or_no_device_is_refused(gemma3: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="has no config.json"):
        load_text_model(str(tmp_path))
    with pytest.raises(ModelError, match="cannot load the model"):
        load_text_model("no-such-owner/no-such-model")
    with pytest.raises(UsageError, match="cannot use the device 'cuda:9'"):
        load_text_model(str(gemma3), device="cuda:9")
    with pytest.raises(UsageError, match="owner/name@revision"):
        load_text_model("owner/name@")
