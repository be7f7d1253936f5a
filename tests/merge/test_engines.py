"""The engines beside each other: files, configs, cards, hand-over, hard links, dry runs."""

import json
import logging
from pathlib import Path

import pytest
import torch
import yaml

from sae_merge_method.artifacts.edit_report import read_edit_report
from sae_merge_method.merge.show import summary
from tests import tiny
from tests.faults.processes import sae_merge
from tests.recipes import recipe_text, run_recipe


@pytest.fixture
def furnished(tmp_path: Path) -> Path:
    """A multimodal base with everything that stands beside real weights."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from transformers import PreTrainedTokenizerFast

    folder = tiny.gemma3_multimodal(tmp_path / "furnished", 0)
    tokenizer = Tokenizer(WordLevel({"<unk>": 0, "a": 1}, unk_token="<unk>"))
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>").save_pretrained(folder)
    for name in ("generation_config.json", "preprocessor_config.json", "special_tokens_map.json"):
        (folder / name).write_text("{}")
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    (folder / "notes.txt").write_text("not part of a checkpoint")
    return folder


def test_both_engines_write_the_same_files_and_configs_that_mean_the_same(tmp_path, furnished):
    from transformers import AutoConfig

    donor = tiny.gemma3_multimodal(tmp_path / "donor", 1)
    reports = {}
    for engine in ("direct", "mergekit"):
        source = recipe_text(furnished, donor)
        reports[engine] = run_recipe(source, tmp_path / engine / "out", engine=engine)
    assert reports["direct"] == reports["mergekit"]
    one, other = tmp_path / "direct" / "out", tmp_path / "mergekit" / "out"
    assert sorted(path.name for path in one.iterdir()) == sorted(path.name for path in other.iterdir())
    for path in one.iterdir():
        if path.name not in ("config.json", "model.safetensors"):
            assert path.read_bytes() == (other / path.name).read_bytes(), path.name
    configs = [AutoConfig.from_pretrained(folder).to_dict() for folder in (one, other)]
    for config in configs:
        config.pop("_name_or_path", None)
    assert configs[0] == configs[1]


def test_the_card_is_mergekits_own_word_for_word(tmp_path, monkeypatch):
    from mergekit.card import generate_card
    from mergekit.config import MergeConfiguration

    from sae_merge_method.hosts.register import register_merge_methods
    from sae_merge_method.merge.beside_weights import card_text
    from sae_merge_method.recipe.methods import parse_recipe
    from sae_merge_method.recipe.plan import plan_edit

    register_merge_methods()
    monkeypatch.chdir(tmp_path)
    for donor in ("/abs/donor", "someone/donor", "someone/donor@main+other/lora", "single"):
        source = recipe_text(Path("google/base"), Path(donor))
        plan = plan_edit(parse_recipe(source, "r"), (1,), 4)
        config = MergeConfiguration.model_validate(yaml.safe_load(source))
        ours, theirs = card_text(source, plan, "out"), generate_card(config, source, "out")
        # mergekit lists the models in an order that changes run by run.
        assert sorted(ours.splitlines()) == sorted(theirs.splitlines())


@pytest.mark.parametrize(
    ("tail", "options", "reason"),
    [
        ("dtype: bfloat16", {}, "writing bfloat16 over a float32 base changes every tensor"),
        ("", {"out_shard_size": 2000}, "--out-shard-size is mergekit's"),
    ],
)
def test_what_the_direct_engine_cannot_do_goes_through_mergekit_and_is_said(
    tmp_path, base, donor, caplog, tail, options, reason
):
    with caplog.at_level(logging.WARNING):
        run_recipe(recipe_text(base, donor, tail=tail), tmp_path / "out", options=options)
    assert f"hands over to mergekit: {reason}" in caplog.text
    assert len(read_edit_report(tmp_path / "out").edited()) == 26


def test_untouched_files_are_hard_linked_on_request_and_others_never(tmp_path, donor):
    tensors = tiny.text_tensors(0)
    ordered = dict(sorted(tensors.items(), key=lambda item: "layers.1." in item[0]))
    names = list(ordered)
    base = tiny.save_checkpoint(tmp_path / "base", tiny.text_config(), ordered)
    (base / "model.safetensors").unlink()
    from safetensors.torch import save_file

    parts = {"model-00001-of-00002.safetensors": names[:-13], "model-00002-of-00002.safetensors": names[-13:]}
    for file, part in parts.items():
        save_file({name: tensors[name] for name in part}, base / file, metadata={"format": "pt"})
    index = {"weight_map": {name: file for file, part in parts.items() for name in part}}
    (base / "model.safetensors.index.json").write_text(json.dumps(index))
    run_recipe(recipe_text(base, donor, 'layers: "1"'), tmp_path / "out", link=True)
    linked = {file: (base / file).samefile(tmp_path / "out" / file) for file in parts}
    assert list(linked.values()) == [True, False]
    after = tiny.load_tensors(tmp_path / "out")
    assert {name for name in tensors if not tiny.same_bytes(tensors[name], after[name])} == set(names[-13:])


def test_the_hash_of_the_result_tells_results_apart_and_all_hashes_come_on_request(tmp_path, base, donor):
    reports = [
        run_recipe(recipe_text(base, donor, weight=weight), tmp_path / f"out{n}", hash_all=n == 2)
        for n, weight in enumerate(["0.5", "0.25", "0.5"])
    ]  # fmt: skip
    hashes = [report.result_sha256 for report in reports]
    assert hashes[0] != hashes[1] and hashes[0] == hashes[2]
    assert all(tensor.sha256 for tensor in reports[2].tensors)
    assert {tensor.status for tensor in reports[0].tensors if tensor.sha256 is None} == {"base"}
    assert hashes[0][:16] in summary(reports[0], 1.0)


def test_a_merge_needs_neither_torch_nor_mergekit_and_little_memory(tmp_path, base, donor):
    (tmp_path / "r.yml").write_text(recipe_text(base, donor))
    trouble = "assert not {'torch', 'mergekit', 'transformers', 'safetensors'} & set(sys.modules)"
    done = sae_merge("merge", "r.yml", "out", cwd=tmp_path, trouble=trouble)
    assert done.returncode == 0, done.stderr
    assert "layers 1, 3: 26 of 54 tensors edited, " in done.stdout
    for part in ("bytes, energy ", " s; ", "result "):
        assert part in done.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["r.yml"], "Missing argument 'OUT'"),
        (["r.yml", "--in-place", "--overwrite"], "--in-place writes into the base itself"),
        (["r.yml", "out", "--engine", "fast"], "'fast' is not one of 'direct', 'mergekit'"),
    ],
)
def test_contradictions_are_usage_errors(tmp_path, base, donor, words, message):
    from click.testing import CliRunner

    from sae_merge_method.cli.merge import command

    (tmp_path / "r.yml").write_text(recipe_text(base, donor))
    result = CliRunner().invoke(
        command, [str(tmp_path / word) if word == "r.yml" else word for word in words]
    )
    assert result.exit_code == 2
    assert message in result.output


def test_float64_weights_keep_their_precision(tmp_path):
    base = tiny.gemma3_text(tmp_path / "base", 0, dtype=torch.float64)
    donor = tiny.gemma3_text(tmp_path / "donor", 1, dtype=torch.float64)
    run_recipe(recipe_text(base, donor, weight="0.3"), tmp_path / "out")
    before, theirs, after = (tiny.load_tensors(folder) for folder in (base, donor, tmp_path / "out"))
    name = "model.layers.1.mlp.up_proj.weight"
    assert tiny.same_bytes(after[name], before[name] + (theirs[name] - before[name]) * 0.3)
