"""``sae-merge compare`` as a user meets it: what it prints, what it writes, how it exits."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from sae_merge_method.artifacts.comparison import read_comparison
from sae_merge_method.cli.main import road
from sae_merge_method.errors import UsageError
from tests.evaluations import ALGEBRA, BARELY, BASE, BETTER, NUM_THEORY, WORSE, Counts, Write, results

GOLDEN = "  540  29.6%   39.4%  +9.8      +3.41     0.0007"


@pytest.fixture
def runs(write: Write) -> tuple[str, str]:
    return str(write("base", results(BASE))), str(
        write("edited", results({ALGEBRA: (430, 1187), NUM_THEORY: (213, 540)}))
    )


def compare(*arguments: str) -> Result:
    """Run the command, letting our errors out: turning them into messages is ``main``'s part."""
    return CliRunner().invoke(road, ["compare", *arguments], catch_exceptions=False, standalone_mode=False)


def test_the_papers_example_prints_as_in_the_paper(runs: tuple[str, str]) -> None:
    printed = compare(*runs).output
    assert GOLDEN in printed
    assert "1 improved, 1 degraded, 0 not shown" in printed


def test_json_holds_the_unrounded_numbers_and_is_what_out_writes(
    runs: tuple[str, str], tmp_path: Path
) -> None:
    printed = compare(*runs, "--format", "json", "--out", str(tmp_path / "verdict")).output
    compared = json.loads(printed)
    row = compared["subjects"][1]
    assert row["task"] == NUM_THEORY
    assert (row["n"], row["base"], row["edited"]) == (540, 160 / 540, 213 / 540)
    assert (row["delta"], row["verdict"]) == (213 / 540 - 160 / 540, "improved")
    assert (row["z"], row["p"]) == pytest.approx((3.4067992728796743, 0.0006572944687306435))
    assert compared["counts"] == {
        "improved": 1,
        "degraded": 1,
        "equivalent": 0,
        "not shown": 0,
        "not tested": 0,
    }
    assert (tmp_path / "verdict" / "comparison.json").read_text() == printed
    assert read_comparison(tmp_path / "verdict").model_dump(mode="json") == compared
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


@pytest.mark.parametrize(("name", "style"), [("a.json", "json"), ("b.md", "markdown"), ("c.tex", "latex")])
def test_out_may_name_one_file_in_the_format_it_ends_in(
    runs: tuple[str, str], tmp_path: Path, name: str, style: str
) -> None:
    printed = compare(*runs, "--out", str(tmp_path / "new" / name)).output
    assert GOLDEN in printed
    assert (tmp_path / "new" / name).read_text() == compare(*runs, "--format", style).output
    assert [path.name for path in (tmp_path / "new").iterdir()] == [name]


def test_settings_come_from_the_options(runs: tuple[str, str]) -> None:
    options = [
        "--alpha",
        "0.0001",
        "--correction",
        "bh",
        "--draws",
        "0",
        "--seed",
        "3",
        "--tasks",
        NUM_THEORY,
    ]
    compared = json.loads(compare(*runs, "--format", "json", *options).output)
    assert (compared["alpha"], compared["correction"], compared["seed"]) == (0.0001, "bh", 3)
    assert [row["task"] for row in compared["subjects"]] == [NUM_THEORY]
    assert compared["counts"]["not shown"] == 1


@pytest.mark.parametrize(
    ("edited", "flag", "code"),
    [
        (BETTER, "--fail-on-regression", 0),
        (WORSE, "--fail-on-regression", 3),
        (BARELY, "--require-improvement", 4),
        (BASE, "--require-improvement", 4),
        (BETTER, "--require-improvement", 0),
        (WORSE, "--correction=none", 0),
    ],
)
def test_the_exit_code_is_a_release_gate(write: Write, edited: Counts, flag: str, code: int) -> None:
    paths = [str(write("base", results(BASE))), str(write("edited", results(edited)))]
    done = compare(*paths, flag)
    assert done.return_value == code or (code == 0 and done.return_value is None)
    assert "improved" in done.output
    # Beside output made for programs, the reason goes to stderr.
    assert (f"Stopped (exit {code}):" in done.stderr) == (code != 0)


def test_a_regression_outweighs_a_missing_improvement(write: Write) -> None:
    paths = [str(write("base", results(BASE))), str(write("edited", results(WORSE)))]
    assert compare(*paths, "--fail-on-regression", "--require-improvement").return_value == 3
    # Every edited model has to pass.
    paths.append(str(write("better", results(BETTER))))
    assert compare(*paths, "--require-improvement").return_value == 4


def test_flips_are_printed_and_beside_json_go_where_programs_do_not_read(write_scores) -> None:
    paths = [str(write_scores("base", [1, 0, 0])), str(write_scores("edited", [0, 1, 1]))]
    printed = compare(*paths, "--show-flips", "1")
    assert f"{NUM_THEORY}: 2 newly right, 1 shown" in printed.stdout
    done = compare(*paths, "--show-flips", "1", "--format", "json")
    assert json.loads(done.stdout)["subjects"]
    assert f"{NUM_THEORY}: 2 newly right, 1 shown" in done.stderr


def test_a_plot_of_another_kind_is_refused_before_anything_is_written(write: Write, tmp_path: Path) -> None:
    out = str(write("base", results(BASE)))
    with pytest.raises(UsageError, match=r"\.png or \.svg"):
        compare(out, out, "--plot", str(tmp_path / "plot.pdf"), "--out", str(tmp_path / "verdict"))
    assert not (tmp_path / "verdict").exists()


def test_help_says_what_each_test_and_correction_is() -> None:
    words = " ".join(compare("--help").output.split())
    assert "lm_eval z-test with lm-eval's standard errors, unpooled (the paper" in words
    assert (
        "mcnemar exact McNemar test, paired by problem (McNemar 1947), needs lm_eval --log_samples" in words
    )
    assert "--correction takes: holm bounds the chance of any false alarm among all (Holm 1979)" in words


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
