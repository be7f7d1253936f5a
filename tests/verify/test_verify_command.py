"""Files beside the weights, what cannot be audited at all, and the exit code."""

import pytest
from click.testing import CliRunner

from sae_merge_method.cli.verify import command
from sae_merge_method.errors import ArtifactError, MergeError, RecipeError, UsageError
from sae_merge_method.verify.audit import verify
from tests import tiny
from tests.verify.conftest import Q_PROJ, flip_one_bit, rewrite


@pytest.mark.parametrize(
    ("file", "edit", "said"),
    [
        ("config.json", ('"hidden_size": 16', '"hidden_size": 32'), "says hidden_size 32"),
        ("config.json", ('"torch_dtype": "float32"', '"torch_dtype": "bfloat16"'), "says torch_dtype bfloat16"),
        ("config.json", ('"sliding_window": 32', '"sliding_window": 16'), "sliding_window is 16, in the base"),
        ("config.json", ('"eos_token_id": 1', '"auto_map": {"AutoModel": "x.y"}'), "auto_map is"),
        ("config.json", ('"num_attention_heads": 2', '"num_attention_heads": [1]'), "num_attention_heads is [1]"),
        ("config.json", ('"gemma3_text"', '["gemma3_text"]'), "model_type is"),
        ("tokenizer.json", ('"a": 0', '"b": 0'), 'model is {"vocab": {"b": 0}}, in the base it is'),
    ],
)  # fmt: skip
def test_a_changed_companion_file_is_caught(tmp_path, merged, file, edit, said):
    out = merged.copy(tmp_path / "out")
    text = (out / file).read_text()
    assert edit[0] in text
    (out / file).write_text(text.replace(*edit))
    assert any(v.where == file and said in v.what for v in verify(out).violated)


def test_what_cannot_be_audited_is_an_error_not_a_verdict(tmp_path, merged):
    with pytest.raises(UsageError, match="recipe has 1 donors"):
        verify(merged.out, donors=["a", "b"])
    with pytest.raises(ArtifactError, match="cannot read a recipe"):
        verify(merged.base)
    out = merged.copy(tmp_path / "out")
    short = tiny.gemma3_text(tmp_path / "short", 1, n_layers=2)
    with pytest.raises(MergeError, match="has no such tensor"):
        verify(out, donors=[str(short)])
    config = out / "mergekit_config.yml"
    config.write_text(config.read_text().replace("sae_stethoscope", "linear"))
    with pytest.raises(RecipeError):
        verify(out)


def test_the_command_ends_with_1_where_something_is_violated(tmp_path, merged):
    sound = CliRunner().invoke(command, [str(merged.out)])
    assert sound.exit_code == 0 and "VIOLATED" not in sound.output
    out = rewrite(merged.copy(tmp_path / "out"), flip_one_bit(Q_PROJ))
    broken = CliRunner().invoke(command, [str(out)])
    assert broken.exit_code == 1
    assert f"VIOLATED    {Q_PROJ}: 1 values differ" in broken.output
