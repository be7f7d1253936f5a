"""Every form in which a comparison is printed or written."""

import csv
import io
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from sae_merge_method.artifacts.comparison import ComparisonSet
from sae_merge_method.cli.compare import command
from sae_merge_method.compare.render import FORMATS, Format, write_comparison
from sae_merge_method.compare.run import compare
from sae_merge_method.errors import UsageError
from sae_merge_method.verdict_tables.tables import counted
from tests.comparisons import comparison
from tests.evaluations import BASE, MIXED, NUM_THEORY, WORSE, Write, results


def test_the_table_has_head_rows_and_counts() -> None:
    lines = FORMATS["table"].render(comparison(notes=("Look here.",))).splitlines()
    assert lines[:3] == [
        "base: base",
        "edited: base",
        "metric: exact_match,none; z-test with lm-eval's standard errors, unpooled, two-sided, alpha 0.05",
    ]
    assert (
        "minerva_math_sae_num_theory  540  29.6%   39.4%  +9.8      +3.41     0.0007  0.0013  improved"
        in lines
    )
    assert lines[-2:] == ["1 improved, 0 degraded, 1 not shown", "Note: Look here."]


def test_csv_has_a_line_a_subject_and_model_unrounded(write: Write) -> None:
    paths = [write("base", results(BASE, model_name="org/base"))]
    paths += [write(name, results(tasks, model_name=name)) for name, tasks in (("a", MIXED), ("b", WORSE))]
    rows = list(csv.DictReader(io.StringIO(FORMATS["csv"].render(compare(*paths)))))
    assert [row["model"] for row in rows] == ["a", "a", "b", "b"]
    assert rows[1]["task"] == NUM_THEORY
    assert float(rows[1]["z"]) == pytest.approx(3.4067992728796743)
    assert (rows[1]["holds"], rows[1]["reason"], rows[1]["newly_right"]) == ("True", "", "")
    assert float(rows[1]["base_low"]) < 160 / 540 < float(rows[1]["base_high"])


def test_markdown_has_tables_whose_names_and_notes_cannot_break_them() -> None:
    text = FORMATS["markdown"].render(comparison(notes=("<b>x</b> | y",)))
    assert "- metric: exact_match,none; z-test" in text
    assert "| subject | n | base |" in text
    row = "| minerva_math_sae_num_theory | 540 | 29.6% | 39.4% | +9.8 | +3.41 | 0.0007 | 0.0013 | **improved** |"
    assert row in text
    assert "| other\\|task | 540 |" in text
    assert "Note: \\<b\\>x\\</b\\> \\| y" in text


def test_latex_is_a_booktabs_table_with_everything_escaped(write: Write) -> None:
    paths = write("base", results(BASE)), write("edited", results(MIXED))
    lines = FORMATS["latex"].render(compare(*paths)).splitlines()
    table = lines[lines.index(r"\toprule") :]
    assert r"minerva\_math\_sae\_num\_theory & 540 & 29.6\% & 39.4\% & +9.8 & +3.41 & 0.0007" in table[4]
    assert len({line.count("&") for line in table if line.endswith(r"\\")}) == 1
    assert all(line.startswith("%") for line in lines[: lines.index(r"\begin{tabular}{lrrrrrrrl}")])


def test_json_is_one_comparison_or_a_set(write: Write) -> None:
    one = comparison()
    assert json.loads(FORMATS["json"].render(one)) == one.model_dump(mode="json")
    both = ComparisonSet(comparisons=(one, one))
    assert ComparisonSet.model_validate_json(FORMATS["json"].render(both)) == both


def test_a_folder_gets_two_files_and_a_file_the_form_it_ends_in(tmp_path: Path) -> None:
    compared = comparison()
    write_comparison(tmp_path / "folder", compared)
    assert {path.name: path.read_text() for path in (tmp_path / "folder").iterdir()} == {
        "comparison.json": FORMATS["json"].render(compared),
        "comparison.md": FORMATS["markdown"].render(compared),
    }
    for form in FORMATS.values():
        write_comparison(tmp_path / f"one{form.suffix}", compared)
        assert (tmp_path / f"one{form.suffix}").read_text() == form.render(compared)
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="a folder or a .txt/.json/"):
        write_comparison(tmp_path / "file", compared)


def test_a_new_form_is_in_help_and_is_printed_and_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    form = Format("brief", "the counts alone", ".brief", lambda compared: counted(compared.comparisons[0]))
    monkeypatch.setitem(FORMATS, "brief", form)
    words = " ".join(CliRunner().invoke(command, ["--help"]).output.split())
    assert "csv|latex|brief]" in words
    assert "brief the counts alone" in words
    write_comparison(tmp_path / "one.brief", comparison())
    assert (tmp_path / "one.brief").read_text() == "1 improved, 0 degraded, 1 not shown"


def test_a_folder_that_ends_like_a_file_is_still_a_folder(tmp_path: Path) -> None:
    (tmp_path / "v1.json").mkdir()
    write_comparison(tmp_path / "v1.json", comparison())
    assert (tmp_path / "v1.json" / "comparison.json").is_file()
