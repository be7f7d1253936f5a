"""Many subjects, many models: corrections, groups, patterns, exit codes, and every way to print."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from sae_merge_method.artifacts.comparison import ComparisonSet
from sae_merge_method.errors import ComparisonError, UsageError

from .conftest import ALGEBRA, NUM_THEORY, Write, results, standard_error
from .test_command import compare

BASE = {ALGEBRA: (500, 1187), NUM_THEORY: (160, 540)}
BETTER = {ALGEBRA: (500, 1187), NUM_THEORY: (213, 540)}
WORSE = {ALGEBRA: (400, 1187), NUM_THEORY: (160, 540)}
# p 0.04: significant alone, not among two.
BARELY = {ALGEBRA: (500, 1187), NUM_THEORY: (191, 540)}
MIXED = {ALGEBRA: (400, 1187), NUM_THEORY: (213, 540)}


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
def test_the_exit_code_is_a_release_gate(
    write: Write, edited: dict[str, tuple[int, int]], flag: str, code: int
) -> None:
    paths = [str(write("base", results(BASE))), str(write("edited", results(edited)))]
    done = compare(*paths, flag)
    assert done.return_value == code or (code == 0 and done.return_value is None)
    assert "improved" in done.output


def test_a_regression_outweighs_a_missing_improvement(write: Write) -> None:
    paths = [str(write("base", results(BASE))), str(write("edited", results(WORSE)))]
    assert compare(*paths, "--fail-on-regression", "--require-improvement").return_value == 3
    # Every edited model has to pass.
    paths.append(str(write("better", results(BETTER))))
    assert compare(*paths, "--require-improvement").return_value == 4


def test_correction_stands_beside_the_raw_p_and_marks_what_it_takes_away(write: Write) -> None:
    paths = [str(write("base", results(BASE))), str(write("edited", results(BARELY)))]
    row = json.loads(compare(*paths, "--format", "json").output)["subjects"][1]
    assert row["p"] < 0.05 < row["p_adjusted"] == pytest.approx(2 * row["p"])
    assert (row["verdict"], row["holds"]) == ("improved", False)
    assert "improved, not by Holm" in compare(*paths).output
    uncorrected = json.loads(compare(*paths, "--format", "json", "--correction", "none").output)
    assert uncorrected["subjects"][1]["holds"] is True
    assert "p Holm" not in compare(*paths, "--correction", "none").output


def test_the_pooled_test_is_there_for_problems_right_or_wrong(write: Write) -> None:
    paths = [str(write("base", results(BASE))), str(write("edited", results(BETTER)))]
    row = json.loads(compare(*paths, "--format", "json", "--test", "pooled").output)["subjects"][1]
    assert row["z"] == pytest.approx(3.39, abs=0.005)


def with_group(tasks: dict[str, tuple[int, int]]) -> dict[str, Any]:
    right, n = (sum(pair[i] for pair in tasks.values()) for i in (0, 1))
    row = {"exact_match,none": right / n, "exact_match_stderr,none": standard_error(right, n)}
    return results(tasks, groups={"math": row}, group_subtasks={"math": list(tasks)})


def test_a_group_has_a_line_of_its_own_and_is_not_counted(write: Write) -> None:
    paths = [str(write("base", with_group(BASE))), str(write("edited", with_group(BETTER)))]
    found = json.loads(compare(*paths, "--format", "json").output)
    (group,) = found["groups"]
    assert (group["task"], group["n"], group["base"]) == ("math", 1727, 660 / 1727)
    assert found["improved"] + found["unchanged"] == 2
    only = json.loads(compare(*paths, "--format", "json", "--tasks", NUM_THEORY).output)
    assert only["groups"] == []


def test_tasks_are_chosen_by_name_pattern_or_group(write: Write) -> None:
    tasks = {**BASE, "gsm8k": (5, 10)}
    base = str(write("base", {**with_group(tasks), "group_subtasks": {"math": list(BASE)}}))
    chosen = {
        "gsm8k": ["gsm8k"],
        "minerva_*": [ALGEBRA, NUM_THEORY],
        "math": [ALGEBRA, NUM_THEORY],
        "gsm8k,*_algebra": [ALGEBRA, "gsm8k"],
    }
    for glob, names in chosen.items():
        found = json.loads(compare(base, base, "--tasks", glob, "--format", "json").output)
        assert [row["task"] for row in found["subjects"]] == names
    with pytest.raises(ComparisonError, match="mmlu fits no task.*gsm8k"):
        compare(base, base, "--tasks", "mmlu")


def test_tasks_that_only_one_side_has_are_left_out_by_pattern_or_by_leave(write: Write) -> None:
    base = str(write("base", results({**BASE, "gsm8k": (5, 10)})))
    edited = str(write("edited", results(BETTER)))
    with pytest.raises(ComparisonError, match="different tasks"):
        compare(base, edited)
    assert "MISMATCH" not in compare(base, edited, "--tasks", "minerva*").output
    assert "MISMATCH, allowed: different tasks" in compare(base, edited, "--allow-mismatch").output


def test_several_models_share_one_table_and_one_file(write: Write, tmp_path: Path) -> None:
    paths = [str(write("base", results(BASE, model_name="org/base")))]
    for name, tasks in (("better", BETTER), ("worse", WORSE)):
        paths.append(str(write(name, results(tasks, model_name=f"org/{name}"))))
    table = compare(*paths).output
    rows = [
        line.split()[:2] for line in table.splitlines() if line.startswith(NUM_THEORY) and "/" not in line
    ]
    assert rows[:2] == [[NUM_THEORY, "better"], [NUM_THEORY, "worse"]]
    assert "better: 1 improved, 0 degraded, 1 unchanged" in table
    assert "worse: 0 improved, 1 degraded, 1 unchanged" in table
    found = ComparisonSet.model_validate_json(compare(*paths, "--format", "json").output)
    assert [one.edited.label for one in found.comparisons] == ["better", "worse"]
    lines = list(csv.DictReader(io.StringIO(compare(*paths, "--format", "csv").output)))
    assert [line["model"] for line in lines] == ["better", "better", "worse", "worse"]


def test_models_of_one_name_are_called_by_their_paths(write: Write) -> None:
    paths = [str(write(name, results(BASE))) for name in ("base", "one", "two")]
    assert f"edited: a/model ({paths[1]})" in compare(*paths).output


def with_verifier(exact: tuple[int, int], verified: tuple[int, int], found: int) -> dict[str, Any]:
    run = results({NUM_THEORY: exact})
    run["results"][NUM_THEORY] |= {
        "math_verify,none": verified[0] / verified[1],
        "math_verify_stderr,none": standard_error(*verified),
        "answer_found,none": found / exact[1],
    }
    return run


def test_format_learned_is_not_called_maths_learned(write: Write) -> None:
    base = str(write("base", with_verifier((160, 540), (250, 540), 270)))
    drilled = str(write("drilled", with_verifier((213, 540), (252, 540), 540)))
    printed = compare(base, drilled).output
    assert (
        f"{NUM_THEORY}: format, not maths? exact_match moves by +9.8 points, math_verify by +0.4" in printed
    )
    assert "46.3% > 46.7%" in printed
    assert "50.0% > 0.0%" in printed
    taught = str(write("taught", with_verifier((213, 540), (310, 540), 540)))
    assert "format, not maths" not in compare(base, taught).output


def test_latex_is_a_booktabs_table_with_everything_escaped(write: Write) -> None:
    paths = [str(write("base", results(BASE))), str(write("edited", results(MIXED)))]
    lines = compare(*paths, "--format", "latex").output.splitlines()
    table = lines[lines.index(r"\toprule") :]
    assert r"minerva\_math\_sae\_num\_theory & 540 & 29.6\% & 39.4\% & +9.8 & +3.41 & 0.0007" in table[4]
    assert len({line.count("&") for line in table if line.endswith(r"\\")}) == 1
    assert all(line.startswith("%") for line in lines[: lines.index(r"\begin{tabular}{lrrrrrrrl}")])


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_the_forest_plot_is_drawn_the_same_twice(write: Write, tmp_path: Path, suffix: str) -> None:
    paths = [str(write("base", with_group(BASE)))]
    paths += [str(write(name, with_group(tasks))) for name, tasks in (("a", MIXED), ("b", BARELY))]
    drawn = []
    for nth in range(2):
        compare(*paths, "--plot", str(tmp_path / f"{nth}{suffix}"))
        drawn.append((tmp_path / f"{nth}{suffix}").read_bytes())
    assert drawn[0] == drawn[1]
    assert drawn[0].startswith(b"\x89PNG" if suffix == ".png" else b"<?xml")


def test_a_plot_of_another_kind_is_refused_before_anything_is_written(write: Write, tmp_path: Path) -> None:
    out = str(write("base", results(BASE)))
    with pytest.raises(UsageError, match=r"\.png or \.svg"):
        compare(out, out, "--plot", str(tmp_path / "plot.pdf"), "--out", str(tmp_path / "verdict"))
    assert not (tmp_path / "verdict").exists()
