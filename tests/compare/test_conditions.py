"""What else two evaluations may differ in: refused, marked or ignored, as one table says."""

import json
from pathlib import Path
from typing import Any

import pytest

from sae_merge_method.artifacts.comparison import ComparisonSet
from sae_merge_method.compare.condition import Condition, Effect
from sae_merge_method.compare.conditions import CONDITIONS
from sae_merge_method.compare.render import FORMATS
from sae_merge_method.compare.run import compare
from sae_merge_method.compare.settings import CompareSettings
from sae_merge_method.errors import ComparisonError
from sae_merge_method.publish.measured import verdict_section
from tests.compare.conftest import compared
from tests.evaluations import NUM_THEORY, Write, results

TASK = {NUM_THEORY: (160, 540)}
SEEDS = {"random_seed": 0, "numpy_seed": 1234, "torch_seed": 1234, "fewshot_seed": 1234}


def run(arguments: dict[str, Any] | str | None = None, **config: Any) -> dict[str, Any]:
    """Results that record their settings; prompts are not hashed, so settings alone can tell."""
    given = {"pretrained": "a/model"} if arguments is None else arguments
    config = {"model": "hf", "model_args": given, "batch_size": 8, "limit": None, **SEEDS, **config}
    return results(TASK, config=config, task_hashes={})


REFUSED = [
    (run(), run(model="vllm"), "backend: hf and vllm"),
    (run(), run({"pretrained": "b", "load_in_4bit": True}), "model_args load_in_4bit: no and yes"),
    (run(), run({"pretrained": "b", "dtype": "float16"}), "model_args dtype: auto and float16"),
    (run("pretrained=a"), run("pretrained=b,max_gen_toks=2048"), "model_args max_gen_toks: 256 and 2048"),
    (run(), run({"enable_thinking": True}), "model_args enable_thinking: none and yes"),
    (run({"max_length": 512}), run({"max_length": 4096}), "model_args max_length: 512 and 4096"),
    (run(), run({"chat_template_args": {"a": 1}}), 'model_args chat_template_args: none and {"a": 1}'),
    (run(), run({"never_heard_of": 1}), "model_args never_heard_of: none and 1 (not known"),
    (run(), run({"of.another.kind": 1}), "model_args of.another.kind: none and 1 (not known"),
    (run(), run({"*": 1}), "model_args *: none and 1 (not known"),
    (run(), run(fewshot_seed=1), "few-shot seed: 1234 and 1"),
    (
        run() | {"configs": {NUM_THEORY: {"description": "Answer:"}}},
        run() | {"configs": {NUM_THEORY: {"description": "Think:"}}},
        f"{NUM_THEORY}: description: Answer: and Think:",
    ),
    (
        run(gen_kwargs="temperature=0.7") | {"configs": {}},
        run(gen_kwargs={"temperature": 0}) | {"configs": {}},
        'gen_kwargs: {"temperature": 0.7} and {"temperature": 0}',
    ),
]


@pytest.mark.parametrize(("base", "edited", "message"), REFUSED, ids=[case[2][:40] for case in REFUSED])
def test_what_changes_the_measurement_is_refused_by_name_and_marked_where_allowed(
    write: Write, base: dict[str, Any], edited: dict[str, Any], message: str
) -> None:
    paths = write("base", base), write("edited", edited)
    with pytest.raises(ComparisonError) as refused:
        compared(*paths)
    assert message in str(refused.value)
    allowed = compared(*paths, allow_mismatch=True)
    assert any(message in line for line in allowed.mismatches)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"batch_size": 16}, "batch size: 8 and 16"),
        ({"random_seed": 1}, "random seed: 0 and 1"),
        ({"numpy_seed": 1}, "numpy seed: 1234 and 1"),
        ({"torch_seed": None}, "torch seed: 1234 and none"),
        ({"arguments": {"attn_implementation": "eager"}}, "attn_implementation: none and eager"),
    ],
)
def test_what_may_move_a_score_is_compared_and_marked(
    write: Write, settings: dict[str, Any], message: str
) -> None:
    comparison = compared(write("base", run()), write("edited", run(**settings)))
    assert comparison.mismatches == ()
    assert [message in line for line in comparison.marks] == [True]


@pytest.mark.parametrize(
    "edited",
    [
        run({"pretrained": "b", "peft": "c", "revision": "main"}),
        run({"pretrained": "b", "parallelize": True, "device_map": "auto", "offload_folder": "/tmp"}),
        run({"tensor_parallel_size": 2, "data_parallel_size": 4, "gpu_memory_utilization": 0.5}),
        run("pretrained=b,dtype=auto,max_gen_toks=256,load_in_4bit=False"),
        run(use_cache="/a/cache", model_sha="abc"),
        run(limit=1000),
        results(TASK),
    ],
    ids=["the model", "placement", "parallelism", "defaults", "cache", "no effect", "unrecorded"],
)
def test_what_cannot_change_a_score_is_no_difference(write: Write, edited: dict[str, Any]) -> None:
    comparison = compared(write("base", run()), write("edited", edited))
    assert (comparison.mismatches, comparison.marks) == ((), ())


def loaded(name: str, arguments: Any) -> dict[str, Any]:
    """A run whose file writes these arguments as they stand."""
    file = run() | {"model_name": name}
    return file | {"config": {**file["config"], "model_args": arguments}}


def test_how_a_model_that_was_handed_over_as_an_object_was_loaded_is_not_compared_and_that_is_said(
    write: Write,
) -> None:
    base = write("base", loaded("base", {"dtype": "bfloat16", "load_in_4bit": True, "new.argument": 1}))
    comparison = compared(base, write("edited", loaded("edited", None)))
    assert (comparison.mismatches, comparison.marks) == ((), ())
    told = "How the model of {} was loaded was not compared: it was handed over as an object."
    assert told.format("edited") in comparison.notes
    both = compared(write("one", loaded("one", None)), write("two", loaded("two", None)))
    assert told.format("one and of two") in both.notes


@pytest.mark.parametrize("arguments", ["", {}])
def test_a_model_that_was_loaded_without_arguments_has_the_defaults(write: Write, arguments: Any) -> None:
    base = write("base", loaded("base", {"load_in_4bit": True}))
    edited = write("edited", loaded("edited", arguments))
    with pytest.raises(ComparisonError, match="model_args load_in_4bit: yes and no"):
        compared(base, edited)
    assert not any("handed over" in note for note in compared(edited, edited).notes)


def test_a_setting_that_a_later_lm_eval_adds_is_marked_by_name(write: Write) -> None:
    base, edited = run(sampling_mode="greedy"), run(sampling_mode="beam")
    base["configs"][NUM_THEORY]["doc_filter"] = "short"
    edited["configs"][NUM_THEORY]["doc_filter"] = "long"
    marks = compared(write("base", base), write("edited", edited)).marks
    assert marks == (
        "sampling_mode: greedy and beam (not known to sae-merge)",
        f"{NUM_THEORY}: doc_filter: short and long (not known to sae-merge)",
    )


def test_a_function_in_a_list_or_mapping_is_the_same_one_at_another_address(write: Write) -> None:
    def at(address: str, name: str = "docs") -> dict[str, Any]:
        function = f"<function {name} at {address}>"
        settings = {
            "process_docs": function,
            "fewshot_config": {"sampler": "first_n", "process_docs": function},
            "filter_list": [{"name": "own", "filter": [{"function": "custom", "filter_fn": function}]}],
            "made_later": [{"by": function}],
        }
        return run() | {"configs": {NUM_THEORY: settings}}

    base, again = write("base", at("0x7fe41c0d2a20")), write("again", at("0x0000022F7FE4B1A0"))
    comparison = compared(base, again)
    assert (comparison.mismatches, comparison.marks) == ((), ())
    other = compared(base, write("other", at("0x7fe41c0d2a20", "other_docs")), allow_mismatch=True)
    assert [line.split(": ")[1] for line in (*other.mismatches, *other.marks)] == [
        "fewshot_config",
        "filter_list",
        "process_docs",
        "made_later",
    ]


def test_another_pytorch_is_marked_and_another_driver_is_not(write: Write) -> None:
    told = "PyTorch version: {}\nIs debug build: False\nNvidia driver version: {}"
    base, edited = (run() | {"pretty_env_info": told.format(*one)} for one in (("2.9.0", 1), ("2.10.0", 2)))
    (mark,) = compared(write("base", base), write("edited", edited)).marks
    assert mark == "version of PyTorch: 2.9.0 and 2.10.0 (rounding differs)"


def test_types_are_one_however_they_were_asked_for(write: Write) -> None:
    auto = run({"dtype": "auto"}, model_dtype="torch.bfloat16")
    named = run({"dtype": "bf16"}, model_dtype="torch.bfloat16")
    assert compared(write("auto", auto), write("named", named)).mismatches == ()
    other = run({"dtype": "auto"}, model_dtype="torch.float32")
    (mark,) = compared(write("base", auto), write("other", other)).marks
    assert "type of the loaded weights: bfloat16 and float32" in mark


def test_another_few_shot_seed_is_nothing_where_there_are_no_examples_or_prompts_were_compared(
    write: Write,
) -> None:
    for name, change in (
        ("none", {"n-shot": {NUM_THEORY: 0}}),
        ("hashed", {"task_hashes": {NUM_THEORY: "a" * 64}}),
    ):
        base, edited = write(f"a {name}", run() | change), write(f"b {name}", run(fewshot_seed=7) | change)
        assert compared(base, edited).mismatches == ()


def test_a_mismatch_that_was_allowed_stands_in_every_report(write: Write) -> None:
    edited = run({"load_in_4bit": True}, batch_size=16)
    comparison = compared(write("base", run()), write("edited", edited), allow_mismatch=True)
    reports = {name: form.render(comparison) for name, form in FORMATS.items() if name != "csv"}
    for report in (*reports.values(), verdict_section(comparison)):
        assert "4bit: no and yes" in report
        assert "batch size: 8 and 16" in report
    assert json.loads(reports["json"])["mismatches"] == ["model_args load_in_4bit: no and yes"]


def test_of_several_models_the_one_that_differs_is_named(write: Write, tmp_path: Path) -> None:
    paths = [write(name, run() | {"model_name": name}) for name in ("base", "plain")]
    paths.append(write("odd", run(batch_size=1) | {"model_name": "odd"}))
    made = compare(*paths, settings=CompareSettings())
    assert isinstance(made, ComparisonSet)
    assert "MARKED, may move a score: odd: batch size: 8 and 1" in str(made)


def test_a_row_added_to_the_table_is_compared_and_reported(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = Condition("config.weather", "weather", Effect.MARK, "it rained")
    monkeypatch.setitem(CONDITIONS, row.field, row)
    comparison = compared(write("base", run(weather="dry")), write("edited", run(weather="wet")))
    assert comparison.marks == ("weather: dry and wet (it rained)",)
    assert "weather: dry and wet (it rained)" in str(comparison)
