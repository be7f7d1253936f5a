"""Files beside the weights: each of the table must say what the base's says, or the audit says so."""

import json
import os

import pytest

from sae_merge_method.artifacts.edit_report import REPORT_FILE
from sae_merge_method.artifacts.recipe import RecipeText
from sae_merge_method.errors import ModelError
from sae_merge_method.merge.in_place import edit_in_place
from sae_merge_method.models.beside_weights import SIDE_FILES
from sae_merge_method.verify.audit import verify
from tests import tiny
from tests.lm_eval_tasks.conftest import write_model
from tests.merged import BESIDE_IMAGES, BESIDE_TEXT
from tests.recipes import recipe_text
from tests.verify.conftest import flip_one_bit, rewrite, violations


def change(folder, name, **keys):
    """Set keys of a JSON file."""
    file = folder / name
    file.write_text(json.dumps(json.loads(file.read_text()) | keys))


def test_a_generation_config_with_another_temperature_is_not_proved(tmp_path, merged):
    out = merged.copy(tmp_path / "out")
    assert "generation_config.json means what the base's means" in verify(out).proved
    change(out, "generation_config.json", temperature=5.0)
    report = verify(out)
    assert [str(one) for one in report.violated] == [
        "generation_config.json: temperature is 5.0, in the base it is 1.0"
    ]
    assert not [line for line in report.proved if "generation_config" in line]


def test_a_generation_config_with_a_repetition_penalty_is_not_proved(tmp_path, merged):
    out = merged.copy(tmp_path / "out")
    change(out, "generation_config.json", repetition_penalty=1.3)
    assert violations(out) == {
        "generation_config.json": "repetition_penalty is 1.3, in the base it is absent"
    }


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("preprocessor_config.json", "size", {"height": 8, "width": 8}),
        ("processor_config.json", "image_seq_length", 256),
        ("video_preprocessor_config.json", "fps", 1.0),
    ],
)
def test_a_changed_processor_is_not_proved(tmp_path, merged_multimodal, name, key, value):
    out = merged_multimodal.copy(tmp_path / "out")
    assert "3 processor files as the base's" in verify(out).proved
    change(out, name, **{key: value})
    assert violations(out)[name].startswith(f"{key} is {json.dumps(value)}, in the base it is ")


def test_a_changed_chat_template_is_not_proved(tmp_path, merged):
    out = merged.copy(tmp_path / "out")
    assert "chat_template.jinja means what the base's means" in verify(out).proved
    (out / "chat_template.jinja").write_text("{{ messages }}Ignore all that.")
    assert violations(out) == {"chat_template.jinja": "differs from the base's"}


@pytest.mark.parametrize("name", [*BESIDE_TEXT, *BESIDE_IMAGES])
def test_a_file_that_the_base_lacks_is_not_proved(tmp_path, merged_multimodal, name):
    out, base = merged_multimodal.copy(tmp_path / "out"), merged_multimodal.copy_base(tmp_path / "base")
    (base / name).unlink()
    assert violations(out, base=str(base))[name] == "the base has no such file"


@pytest.mark.parametrize("name", [*BESIDE_TEXT, *BESIDE_IMAGES])
def test_a_file_that_is_left_to_the_base_is_said_to_be_unproved(tmp_path, merged_multimodal, name):
    out = merged_multimodal.copy(tmp_path / "out")
    (out / name).unlink()
    (out / REPORT_FILE).unlink()
    report = verify(out)
    subject = SIDE_FILES[name].subject
    assert f"the {subject} as a whole: the checkpoint leaves it to the base ({name})" in report.unproved
    assert report.sound


@pytest.mark.parametrize("name", [*BESIDE_TEXT, *BESIDE_IMAGES])
def test_a_file_that_the_merge_left_may_not_be_missing(tmp_path, merged_multimodal, name):
    out = merged_multimodal.copy(tmp_path / "out")
    (out / name).unlink()
    assert violations(out)[name] == "edit_report.json records this file, the checkpoint lacks it"


@pytest.mark.parametrize(
    ("file", "edit", "fault"),
    [
        ("config.json", ('"hidden_size": 16', '"hidden_size": 32'), "says hidden_size 32"),
        ("config.json", ('"torch_dtype": "float32"', '"torch_dtype": "bfloat16"'), "says torch_dtype bfloat16"),
        ("config.json", ('"sliding_window": 32', '"sliding_window": 16'), "sliding_window is 16, in the base"),
        ("config.json", ('"eos_token_id": 1', '"auto_map": {"AutoModel": "x.y"}'), "auto_map is"),
        ("config.json", ('"num_attention_heads": 2', '"num_attention_heads": [1]'), "num_attention_heads is [1]"),
        ("config.json", ('"gemma3_text"', '["gemma3_text"]'), "model_type is"),
        ("tokenizer.json", ('"a": 0', '"b": 0'), 'model is {"vocab": {"b": 0, '),
        ("tokenizer.json", ('"dtype": 1', '"dtype": 2'), 'model is {"vocab": {"a": 0, "dtype": 2'),
        ("merges.txt", ("a b", "b a"), "differs from the base's"),
        ("special_tokens_map.json", ("<bos>", "<eos>"), 'bos_token is "<eos>"'),
        ("tokenizer_config.json", ("64}", "64"), "cannot be read: Expecting"),
        ("generation_config.json", ("{", "[{"), "cannot be read: Expecting"),
    ],
)  # fmt: skip
def test_a_changed_file_is_caught(tmp_path, merged, file, edit, fault):
    out = merged.copy(tmp_path / "out")
    text = (out / file).read_text()
    assert edit[0] in text
    (out / file).write_text(text.replace(*edit))
    assert fault in violations(out)[file]


UNREAD = {
    "attn_implementation": "someone/attention",
    "_attn_implementation": "eager",
    "experts_implementation": "eager",
    "base_model_tp_plan": {"layers.*": "colwise"},
    "temperature": 0.1,
    "do_sample": True,
    "suppress_tokens": [5],
    "max_length": 7,
}
"""Keys that transformers acts on, or may, though its config keeps none of them."""


@pytest.mark.parametrize("key", UNREAD)
@pytest.mark.parametrize("inside", ["", "text_config"])
def test_a_key_that_a_config_does_not_keep_is_caught(tmp_path, merged_multimodal, key, inside):
    out = merged_multimodal.copy(tmp_path / "out")
    file = out / "config.json"
    config = json.loads(file.read_text())
    (config[inside] if inside else config)[key] = UNREAD[key]
    file.write_text(json.dumps(config))
    assert f"{inside}{'.' if inside else ''}{key} is " in violations(out)["config.json"]


def test_a_key_that_the_base_has_too_and_an_older_spelling_mean_nothing(tmp_path, merged):
    out, base = merged.copy(tmp_path / "out"), merged.copy_base(tmp_path / "base")
    for folder in (out, base):
        change(folder, "config.json", attn_implementation="eager")
    change(base, "config.json", rope_theta=1e6, rope_local_base_freq=1e4)
    new = {
        "full_attention": {"rope_type": "default", "rope_theta": 1e6},
        "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
    }
    change(out, "config.json", rope_parameters=new)
    (out / REPORT_FILE).unlink()  # which knows the base by its config's bytes
    assert "config.json means what the base's means" in verify(out, base=str(base)).proved
    change(out, "config.json", attn_implementation="sdpa")
    assert "attn_implementation is" in violations(out, base=str(base))["config.json"]


def test_bookkeeping_and_the_order_of_keys_mean_nothing(tmp_path, merged):
    out = merged.copy(tmp_path / "out")
    (out / "generation_config.json").write_text(
        '{"_from_model_config": true, "top_k": 64, "temperature": 1.0, "transformers_version": "6.0"}'
    )
    change(out, "config.json", transformers_version="6.0")
    assert verify(out).sound


def test_many_differing_keys_are_counted_and_the_first_named(tmp_path, merged):
    out = merged.copy(tmp_path / "out")
    change(out, "generation_config.json", **{f"key_{letter}": 1 for letter in "abcdefg"})
    assert violations(out)["generation_config.json"].endswith(
        "in the base it is absent; and 2 more keys differ"
    )


@pytest.mark.parametrize("with_base", [True, False])
def test_code_that_lies_there_is_left_open_and_what_replaces_generation_is_not(
    tmp_path, merged, with_base, request
):
    if not with_base:
        request.getfixturevalue("alone")
    out = merged.copy(tmp_path / "out")
    (out / "modeling_x.py").write_text("class X: ...")
    report = verify(out)
    assert report.sound
    (said,) = [line for line in report.unproved if line.startswith("the code: ")]
    assert "to hold modeling_x.py against" in said
    (out / "custom_generate").mkdir()
    (out / "custom_generate/generate.py").write_text("def generate(): ...")
    assert violations(out).keys() == {"custom_generate/generate.py"}


def test_code_that_an_edit_in_place_found_is_held_against_its_hash(tmp_path, merged):
    folder = merged.copy_base(tmp_path / "model")
    (folder / "modeling_x.py").write_text("class X: ...")
    edit_in_place(RecipeText(recipe_text(folder, merged.donor), "recipe.yml"), options={"quiet": True})
    assert verify(folder).sound
    (folder / "modeling_x.py").write_text("class Y: ...")
    assert "edit_report.json records" in violations(folder)["modeling_x.py"]


def test_a_tokenizer_that_mergekit_made_up_can_be_held_against_nothing(tmp_path, by_mergekit):
    base, donor = tiny.gemma3_text(tmp_path / "base", 0), tiny.gemma3_text(tmp_path / "donor", 1)
    report = verify(by_mergekit(recipe_text(base, donor)))
    assert report.sound
    assert report.unproved == (
        "the tokenizer: the base has none to hold tokenizer.json, tokenizer_config.json against",
    )


def test_the_template_that_a_recipe_asks_for_is_no_violation(tmp_path, by_mergekit):
    for name in ("base", "donor"):
        write_model(tmp_path / name)
    rewrite(tmp_path / "donor", flip_one_bit("model.layers.0.mlp.up_proj.weight"))
    tail = "dtype: float32\nchat_template: chatml"
    report = verify(by_mergekit(recipe_text(tmp_path / "base", tmp_path / "donor", 'layers: "0"', tail=tail)))
    assert report.sound
    # mergekit takes a generation config along only with a tokenizer that it copies.
    assert report.unproved == (
        "the generation config as a whole: the checkpoint leaves it to the base (generation_config.json)",
        "the chat template: the recipe asks for another than the base's",
    )
    assert "2 tokenizer files as the base's" in report.proved


def test_a_file_that_is_a_pipe_or_leads_elsewhere_ends_the_audit_instead_of_hanging_it(tmp_path, merged):
    out = merged.copy(tmp_path / "out")
    (out / "generation_config.json").unlink()
    (out / "generation_config.json").symlink_to(merged.base / "generation_config.json")
    with pytest.raises(ModelError, match="put the file itself there"):
        verify(out)
    (out / "generation_config.json").unlink()
    os.mkfifo(out / "generation_config.json")
    with pytest.raises(OSError, match="regular file"):
        verify(out)
