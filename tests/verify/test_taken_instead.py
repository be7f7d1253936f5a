"""Nothing stands in a proved folder that a loader would take in place of what was audited."""

import json
import shutil

import pytest

from sae_merge_method.errors import ModelError
from sae_merge_method.verify.audit import verify
from tests.verify.conftest import violations
from tests.verify.test_beside_weights import change

NOTHING = "nothing that a loader would take in place of these weights"


def test_an_adapter_beside_the_weights_is_a_violation_for_a_loader_would_add_it(tmp_path, merged):
    out = merged.copy(tmp_path / "out")
    assert NOTHING in verify(out).proved
    (out / "adapter_config.json").write_text(
        json.dumps({"peft_type": "LORA", "base_model_name_or_path": "x"})
    )
    (out / "adapter_model.safetensors").write_bytes(b"")
    report = verify(out)
    assert {one.where for one in report.violated} == {"adapter_config.json", "adapter_model.safetensors"}
    assert "from_pretrained adds it to the weights" in report.violated[0].what
    assert NOTHING not in report.proved


@pytest.mark.parametrize(
    "name",
    [
        "model-00001-of-00002.safetensors",
        "model.fp16.safetensors",
        "model.fp16.safetensors.index.json",
        "consolidated.safetensors",
        "consolidated.00.pth",
        "params.json",
        "pytorch_model.bin",
        "pytorch_model.bin.index.json",
        "model-q4.gguf",
        "README.safetensors",
        "quantize_config.json",
    ],
)
@pytest.mark.usefixtures("alone")
def test_weights_in_another_file_or_format_are_a_violation_even_without_the_base(tmp_path, merged, name):
    out = merged.copy(tmp_path / "out")
    shutil.copy(merged.donor / "model.safetensors", out / name)
    assert "where none belongs" in violations(out)[name]


def test_a_config_that_names_other_weights_is_a_violation_even_where_the_base_names_them(tmp_path, merged):
    base, out = merged.copy_base(tmp_path / "base"), merged.copy(tmp_path / "out")
    for folder in (base, out):
        change(folder, "config.json", transformers_weights="more/model.safetensors")
    found = violations(out, base=str(base))
    assert "transformers would load that in place of these weights" in found["config.json"]


@pytest.mark.parametrize("where", ["config.json", "tokenizer_config.json"])
def test_code_that_the_base_asks_for_too_is_said_to_be_unproved_and_code_that_it_does_not_is_a_violation(
    tmp_path, merged, where
):
    base, out = merged.copy_base(tmp_path / "base"), merged.copy(tmp_path / "out")
    change(out, where, auto_map={"AutoModel": "someone/else--modeling.Model"})
    assert violations(out, base=str(base))[where].startswith("auto_map is")
    change(base, where, auto_map={"AutoModel": "someone/else--modeling.Model"})
    report = verify(out, base=str(base))
    said = f"code that trust_remote_code runs, by auto_map in {where}: someone/else--modeling.Model"
    assert said in report.unproved


def test_a_generate_of_the_models_own_is_held_against_the_bases(tmp_path, merged):
    base, out = merged.copy_base(tmp_path / "base"), merged.copy(tmp_path / "out")
    for folder in (base, out):
        (folder / "custom_generate").mkdir()
    (out / "custom_generate/generate.py").write_text("def generate(): ...")
    assert violations(out, base=str(base)) == {"custom_generate/generate.py": "the base has no such file"}
    (base / "custom_generate/generate.py").write_text("def generate(): ...")
    assert "custom_generate/generate.py means what the base's means" in verify(out, base=str(base)).proved


def test_what_no_table_knows_is_named_and_what_is_about_a_model_is_not(tmp_path, merged):
    out = merged.copy(tmp_path / "out")
    for name in ("README.md", "LICENSE", "model.sig", ".gitattributes"):
        (out / name).touch()
    (out / "original").mkdir()
    (out / "training_args.bin").touch()
    report = verify(out)
    assert report.sound
    assert report.unproved == ("what else lies in the folder: original/, training_args.bin",)


def test_a_whole_file_beside_shards_is_refused_for_transformers_would_take_it_first(tmp_path, merged):
    out = merged.copy(tmp_path / "out")
    (out / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "model.safetensors"}}))
    with pytest.raises(ModelError, match="transformers reads the one and mergekit the other"):
        verify(out)


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("config.json", None),
        ("generation_config.json", '{"temperature": 9}'),
        ("tokenizer.json", "{}"),
        ("chat_template.jinja", "Ignore all that."),
        ("additional_chat_templates/rag.jinja", "{{ messages }}"),
        ("spiece.model", "x"),
    ],
)
def test_without_its_base_a_changed_or_added_file_is_caught_by_the_recorded_hash(
    tmp_path, merged, name, content
):
    out = merged.copy(tmp_path / "out")
    report = verify(out)
    assert "7 files beside the weights are the ones that edit_report.json records" in report.proved
    assert "config.json is the base's, byte for byte, by the hash in edit_report.json" in report.proved
    if content is None:
        change(out, name, rope_theta=5.0)
    else:
        (out / name).parent.mkdir(exist_ok=True)
        (out / name).write_text(content)
    assert "edit_report.json records" in violations(out)[name]


@pytest.mark.usefixtures("alone")
def test_without_its_base_a_file_that_is_gone_is_caught(tmp_path, merged):
    out = merged.copy(tmp_path / "out")
    (out / "chat_template.jinja").unlink()
    assert "the checkpoint lacks it" in violations(out)["chat_template.jinja"]


def test_a_dtype_that_a_loader_would_cast_to_is_held_against_the_base_in_every_part(
    tmp_path, merged_multimodal
):
    out = merged_multimodal.copy(tmp_path / "out")
    config = json.loads((out / "config.json").read_text())
    config["vision_config"]["dtype"] = "float16"
    (out / "config.json").write_text(json.dumps(config))
    said = 'vision_config.dtype is "float16", in the base it is absent'
    assert violations(out) == {"config.json": said}
