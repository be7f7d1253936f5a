"""``sae-merge compare`` as a user meets it."""

import csv
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from sae_merge_method.artifacts.comparison import read_comparison
from sae_merge_method.cli.main import road
from sae_merge_method.errors import ComparisonError, UsageError

from .conftest import ALGEBRA, NUM_THEORY, Write, results

GOLDEN = "  540  29.6%   39.4%  +9.8  +3.41  0.0007"


@pytest.fixture
def runs(write: Write) -> tuple[str, str]:
    base = write("base", results({ALGEBRA: (500, 1187), NUM_THEORY: (160, 540)}))
    edited = write("edited", results({ALGEBRA: (430, 1187), NUM_THEORY: (213, 540)}))
    return str(base), str(edited)


def compare(*arguments: str) -> Result:
    """Run the command, letting our errors out: turning them into messages is ``main``'s part."""
    return CliRunner().invoke(road, ["compare", *arguments], catch_exceptions=False, standalone_mode=False)


def test_the_papers_example_prints_as_in_the_paper(runs: tuple[str, str]) -> None:
    printed = compare(*runs).output
    assert GOLDEN in printed
    assert "1 improved, 1 degraded, 0 unchanged" in printed


def test_json_holds_the_unrounded_numbers_and_is_what_out_writes(
    runs: tuple[str, str], tmp_path: Path
) -> None:
    printed = compare(*runs, "--format", "json", "--out", str(tmp_path / "verdict")).output
    found = json.loads(printed)
    row = found["subjects"][1]
    assert row["task"] == NUM_THEORY
    assert (row["n"], row["base"], row["edited"]) == (540, 160 / 540, 213 / 540)
    assert (row["delta"], row["verdict"]) == (213 / 540 - 160 / 540, "improved")
    assert (row["z"], row["p"]) == pytest.approx((3.4067992728796743, 0.0006572944687306435))
    assert [found[word] for word in ("improved", "degraded", "unchanged")] == [1, 1, 0]
    assert (tmp_path / "verdict" / "comparison.json").read_text() == printed
    assert read_comparison(tmp_path / "verdict").model_dump(mode="json") == found
    assert f"| {NUM_THEORY} | 540 |" in (tmp_path / "verdict" / "comparison.md").read_text()
    assert sorted(path.name for path in (tmp_path / "verdict").iterdir()) == [
        "comparison.json",
        "comparison.md",
    ]


def test_the_schema_explains_every_field() -> None:
    schema = json.loads(compare("--schema").output)
    for model in (schema, *schema["$defs"].values()):
        assert model["additionalProperties"] is False
        assert [name for name, field in model["properties"].items() if "description" not in field] == []


def test_csv_has_a_line_a_subject_and_markdown_a_row(runs: tuple[str, str]) -> None:
    rows = list(csv.DictReader(io.StringIO(compare(*runs, "--format", "csv").output)))
    assert [row["task"] for row in rows] == [ALGEBRA, NUM_THEORY]
    assert float(rows[1]["z"]) == pytest.approx(3.4067992728796743)
    markdown = compare(*runs, "--format", "markdown").output
    assert "| subject | n | base |" in markdown
    assert f"| {NUM_THEORY} | 540 | 29.6% | 39.4% | +9.8 | +3.41 | 0.0007 | 0.0013 | improved |" in markdown


@pytest.mark.parametrize(("name", "style"), [("a.json", "json"), ("b.md", "markdown"), ("c.tex", "latex")])
def test_out_may_name_one_file_in_the_format_it_ends_in(
    runs: tuple[str, str], tmp_path: Path, name: str, style: str
) -> None:
    printed = compare(*runs, "--out", str(tmp_path / "new" / name)).output
    assert GOLDEN in printed
    assert (tmp_path / "new" / name).read_text() == compare(*runs, "--format", style).output
    assert [path.name for path in (tmp_path / "new").iterdir()] == [name]
    with pytest.raises(UsageError, match="a folder or"):
        (tmp_path / "file").touch()
        compare(*runs, "--out", str(tmp_path / "file"))


def test_alpha_decides_what_counts(runs: tuple[str, str]) -> None:
    found = json.loads(compare(*runs, "--format", "json", "--alpha", "0.0001").output)
    assert (found["improved"], found["degraded"], found["unchanged"]) == (0, 0, 2)


def test_a_metric_is_named_with_or_without_its_filter(write: Write) -> None:
    found = results({"gsm8k": (5, 10)})
    found["results"]["gsm8k"].update({"acc,strict": 0.1, "acc_stderr,strict": 0.1, "f1,a": 1.0, "f1,b": 1.0})
    out = str(write("base", found))
    assert "metric: acc,strict" in compare(out, out, "--metric", "acc").output
    with pytest.raises(ComparisonError, match="several filters.*f1,a, f1,b"):
        compare(out, out, "--metric", "f1")
    with pytest.raises(ComparisonError, match="no task .* has the metric bleu.*acc,strict"):
        compare(out, out, "--metric", "bleu")


def test_a_metric_that_should_fall_is_judged_the_other_way_round(write: Write) -> None:
    sides = []
    for name, value in (("base", 12.0), ("edited", 10.0)):
        found = results({"wiki": (5, 10)}, higher_is_better={"wiki": {"perplexity": False}})
        found["results"]["wiki"].update({"perplexity,none": value, "perplexity_stderr,none": 0.1})
        sides.append(str(write(name, found)))
    printed = compare(*sides, "--metric", "perplexity").output
    assert "12      10    -2" in printed
    assert "improved" in printed


def test_where_nothing_can_be_tested_the_reason_is_printed(write: Write) -> None:
    base = str(write("base", results({ALGEBRA: (0, 1), NUM_THEORY: (0, 9)})))
    edited = str(write("edited", results({ALGEBRA: (1, 1), NUM_THEORY: (9, 9)})))
    printed = compare(base, edited).output
    assert "0 improved, 0 degraded, 0 unchanged, 2 untested" in printed
    assert f"{ALGEBRA}: untested, n = 1" in printed
    assert f"{NUM_THEORY}: untested, zero variance on both sides" in printed


TASK: dict[str, tuple[int, int]] = {NUM_THEORY: (160, 540)}
DIFFERENT: dict[str, tuple[dict[str, Any], str]] = {
    "tasks": (results({**TASK, ALGEBRA: (1, 2)}), f"different tasks: .* lacks {ALGEBRA}"),
    "no common task": (results({ALGEBRA: (1, 2)}), "no common task"),
    "versions": (results(TASK, versions={NUM_THEORY: 2.0}), "task version: 1.0 and 2.0"),
    "counts": (results({NUM_THEORY: (160, 541)}), "sample count: 540 and 541"),
    "few-shot": (results(TASK, **{"n-shot": {NUM_THEORY: 0}}), "few-shot examples: 4 and 0"),
    "prompts": (results(TASK, task_hashes={NUM_THEORY: "b" * 64}), "prompts: aaaaaaaaaaaa... and bbbbbb"),
    "chat template": (results(TASK, chat_template_sha="c" * 64), "chat template: none and cccc"),
    "generation": (results(TASK, configs={NUM_THEORY: {"generation_kwargs": {}}}), "generation settings"),
}


@pytest.mark.parametrize(("found", "message"), DIFFERENT.values(), ids=DIFFERENT.keys())
def test_runs_that_differ_in_more_than_the_model_are_refused(
    write: Write, found: dict[str, Any], message: str
) -> None:
    base, edited = write("base", results(TASK)), write("edited", found)
    with pytest.raises(ComparisonError, match=message):
        compare(str(base), str(edited))


def test_unlogged_prompts_limits_and_other_versions_of_lm_eval_are_told(write: Write) -> None:
    base = write("base", results(TASK, task_hashes={}, lm_eval_version="0.4.9"))
    limited = {NUM_THEORY: {"original": 999, "effective": 540}}
    edited = write("edited", results(TASK, **{"n-samples": limited}))
    printed = compare(str(base), str(edited)).output
    assert "Prompts were not compared" in printed
    assert "0.4.9 and 0.4.13" in printed
    assert f"--limit) in {NUM_THEORY}" in printed


def test_no_torch_is_imported_and_a_refusal_is_one_line(runs: tuple[str, str]) -> None:
    script = (
        "import sys; from sae_merge_method.cli.main import main\n"
        "try: main()\n"
        "finally: assert not {'torch', 'scipy', 'matplotlib', 'transformers', 'lm_eval'} & set(sys.modules)"
    )
    for arguments, code in ((runs, 0), ((runs[0], "nowhere"), 1), ((runs[0],), 2)):
        done = subprocess.run(
            [sys.executable, "-c", script, "compare", *arguments], capture_output=True, text=True
        )
        assert done.returncode == code
        assert "Traceback" not in done.stderr
        assert (GOLDEN in done.stdout) == (code == 0)
