"""The three files: what a user reads, prints and sends on."""

import re
import shlex
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from lm_eval._cli.harness import HarnessCLI

from sae_merge_method.artifacts.experiment import Conclusion, read_experiment
from sae_merge_method.errors import ArtifactError
from sae_merge_method.experiment.report.html import as_page, z_colour
from sae_merge_method.experiment.report.markdown import as_markdown, evaluate
from sae_merge_method.experiment.report.scatter import place_labels
from sae_merge_method.experiment.report.tables import as_table, short_names, subject_grid
from sae_merge_method.experiment.report.write import report_experiment
from sae_merge_method.publish.sections import experiment_section
from tests.experiment.folders import BASE, PICK, Laid, collected, lay_out, sets_of_layers

NATS = (20.0, 30.0, 25.0, 40.0)
FILES = ("experiment.html", "experiment.json", "experiment.md")


def damaged(arm: Laid, by: float) -> Laid:
    return replace(arm, nats=[nats + by * (1 + 0.1 * (i % 3)) for i, nats in enumerate(NATS)])


ARMS = [
    replace(BASE, nats=NATS),
    damaged(PICK, 1.0),
    damaged(Laid("all-layers", (70, 40), tuple(range(8))), 90.0),
    *(damaged(arm, 1.5) for arm in sets_of_layers([30, 35, 40])),
    damaged(Laid("depth-matched", (5, 4), (1, 4)), 2.0),
    damaged(Laid("scalpel", (21, 10)), 0.1),
    *(damaged(Laid(f"layer-{layer}", (25 + layer, 10), (layer,)), 0.3) for layer in range(4)),
    damaged(Laid("donor", (75, 45), tuple(range(8))), 95.0),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = lay_out(tmp_path_factory.mktemp("reports") / "experiment", ARMS)
    report_experiment(found)
    return found


class Page(HTMLParser):
    """Checks that tags close, and collects what the page loads and says."""

    void = frozenset(("meta", "br", "img"))

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.loads: list[str] = []
        self.headings: list[str] = []
        self.colours: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.loads += [value for name in ("src", "href") if (value := found.get(name))]
        self.colours += [value for name, value in attrs if name == "style" and value]
        self.tags.append(tag)
        if tag not in self.void:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "h2":
            self.headings.append(data)


def test_the_page_is_whole_loads_nothing_and_begins_with_the_conclusions(folder: Path) -> None:
    text = (folder / "experiment.html").read_text()
    page = Page(text)
    assert page.open == []
    assert len(page.loads) == 1 and page.loads[0].startswith("data:image/png;base64,iVBOR")
    assert "http" not in re.sub(r"base64,[^\"]*", "", text)
    assert page.headings[0] == "What the numbers support"
    assert page.headings[1:4] == ["Gain against cost", "Arms", "Subjects"]


def test_nothing_in_it_can_become_markup(folder: Path) -> None:
    evil = "<script>alert(1)</script>|`x`"
    experiment = read_experiment(folder)
    arms = [
        arm.model_copy(update={"name": evil, "description": evil, "notes": (evil,), "mismatches": (evil,)})
        for arm in experiment.arms
    ]
    claim = Conclusion(claim=evil, answer="yes", evidence=evil)
    hostile = experiment.model_copy(
        update={"base": evil, "donor": '"><img src=x>', "select": evil, "metric": evil, "score": evil}
        | {"arms": tuple(arms), "conclusions": (claim,), "missing": (evil,), "evaluation": {evil: evil}}
    )
    page = Page(as_page(hostile, b""))
    assert page.tags.count("script") == 1 and page.tags.count("img") == 1
    text = re.sub(r"```.*?```|`[^`]*`", "", as_markdown(hostile), flags=re.DOTALL)
    assert "<script>" not in re.sub(r"\\<", "", text) and "<img" not in text.replace("\\<", "")


def test_the_same_arms_give_the_same_bytes_wherever_the_folder_lies(folder: Path, tmp_path: Path) -> None:
    other = lay_out(tmp_path / "renamed", ARMS)
    report_experiment(other)
    for name in FILES:
        assert (other / name).read_bytes() == (folder / name).read_bytes(), name


def test_the_record_reads_back(folder: Path) -> None:
    assert read_experiment(folder) == report_experiment(folder)


def test_a_damaged_arm_leaves_the_last_report_as_it_was(tmp_path: Path) -> None:
    lay_out(tmp_path, ARMS[:2])
    report_experiment(tmp_path)
    before = [(tmp_path / name).read_bytes() for name in FILES]
    (tmp_path / "arms" / "stethoscope" / "arm.json").write_text("{")
    with pytest.raises(ArtifactError):
        report_experiment(tmp_path)
    assert [(tmp_path / name).read_bytes() for name in FILES] == before
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["arms", *FILES, "plan.json"]


def test_every_z_of_every_subject_is_coloured_by_its_sign(folder: Path) -> None:
    experiment = read_experiment(folder)
    zs = [cell.value for row in subject_grid(experiment).rows for cell in row[1:] if cell.value is not None]
    page = Page((folder / "experiment.html").read_text())
    assert len(zs) == 2 * (len(ARMS) - 1)
    assert page.colours == [f"background: {z_colour(float(z))}" for z in zs]


def test_a_subject_is_strong_only_after_holm(tmp_path: Path) -> None:
    experiment = collected(tmp_path, [BASE, replace(PICK, right=(33, 11))])
    algebra = experiment.arms[1].subjects[0]
    assert algebra.p is not None and algebra.p < 0.05
    assert [cell.strong for cell in subject_grid(experiment).rows[1]] == [False, False, False]


def luminance(colour: str) -> float:
    """Relative luminance of an sRGB colour (WCAG 2.2)."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("z", [-9.0, -4.0, -1.0, 0.0, 1.0, 4.0, 9.0])
def test_dark_text_is_legible_on_every_colour_and_blue_and_orange_are_alike_in_grey(z: float) -> None:
    contrast = (luminance(z_colour(z)) + 0.05) / (luminance("#222222") + 0.05)
    assert contrast > 4.5
    assert luminance(z_colour(z)) == pytest.approx(luminance(z_colour(-z)), abs=0.02)
    red, blue = (int(z_colour(z)[i : i + 2], 16) for i in (1, 5))
    assert (blue > red) == (z > 0) and (red > blue) == (z < 0)


def test_the_terminal_has_a_line_an_arm_and_a_line_a_claim(folder: Path) -> None:
    experiment = read_experiment(folder)
    lines = as_table(experiment).splitlines()
    assert lines[0].split()[:2] == ["arm", "layers"]
    names = [line.split()[0] for line in lines[2:] if line]
    assert names[:3] == ["base", "*stethoscope", "all-layers"]
    assert "layer" in names and "layer-0" not in names
    assert sum(line.startswith("- ") for line in lines) == len(experiment.conclusions)
    assert max(map(len, lines[lines.index("") :])) <= 110


def test_what_is_not_done_is_said_in_all_three(tmp_path: Path) -> None:
    lay_out(tmp_path, [BASE, PICK, Laid("scalpel", (1, 1), done=False)])
    text = as_table(report_experiment(tmp_path))
    assert "Not done: scalpel" in text
    assert "- not done: scalpel" in (tmp_path / "experiment.md").read_text()
    assert "<dt>not done</dt><dd>scalpel</dd>" in (tmp_path / "experiment.html").read_text()


def test_without_general_text_there_are_no_columns_for_it(tmp_path: Path) -> None:
    text = as_table(collected(tmp_path, [BASE, PICK]))
    assert "general loss" not in text and "damage z" not in text


def test_the_arm_by_hand_is_evaluated_as_the_experiment_did(folder: Path) -> None:
    asked = {"model": "hf", "tasks": "maths,gsm8k", "model_args": "dtype=float32", "limit": 20.0}
    asked |= {"apply_chat_template": True, "fewshot_as_multiturn": False, "gen_kwargs": "max_gen_toks=9"}
    experiment = read_experiment(folder).model_copy(update={"evaluation": asked})
    program, *words = shlex.split(evaluate(experiment, "out/"))
    assert program == "lm_eval"
    read = HarnessCLI()._parser.parse_args(words)
    assert (read.model, read.tasks, read.limit) == ("hf", ["maths", "gsm8k"], 20.0)
    assert read.model_args == {"pretrained": "out/", "dtype": "float32"}
    assert (read.apply_chat_template, read.fewshot_as_multiturn) == (True, False)
    assert (read.gen_kwargs, read.log_samples) == ({"max_gen_toks": 9}, True)
    text = (folder / "experiment.md").read_text()
    assert 'sae-merge merge "$EXP/arms/stethoscope/recipe.yml" out/' in text
    assert "- `scalpel`: `arms/scalpel/recipe.yml`" in text
    assert "arms/donor/recipe.yml" not in text


def test_a_card_takes_the_report_without_the_commands_on_its_files(folder: Path) -> None:
    section = experiment_section(folder)
    assert section.startswith("## What else was tried\n\n- base: ./base")
    assert "### What the numbers support" in section and "### Single layers" in section
    assert "recipe.yml" not in section and "By hand" not in section


def test_names_of_subjects_lose_what_they_share() -> None:
    assert short_names(["minerva_math_sae_num_theory", "minerva_math_sae_algebra"]) == (
        "num theory",
        "algebra",
    )
    assert short_names(["gsm8k"]) == ("gsm8k",)
    assert short_names(["a", "a_b"]) == ("a", "a b")


def test_names_in_the_picture_do_not_cover_each_other_nor_leave_it() -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.text import Text

    figure = Figure(figsize=(8, 5), dpi=100)
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    points = [(0.5 + i % 3 * 0.01, 0.5 + i // 3 * 0.02) for i in range(6)] + [(0.0, 0.0), (1.0, 1.0)]
    axes.plot(*zip(*points, strict=True), "o")
    frame = axes.get_window_extent()
    place_labels(axes, points, {i: f"a-rather-long-name-{i}" for i in range(8)})
    boxes = [Text.get_window_extent(text, canvas.get_renderer()) for text in axes.texts]
    assert len(boxes) == 8
    assert all(frame.contains(box.x0, box.y0) and frame.contains(box.x1, box.y1) for box in boxes)
    assert not any(one.overlaps(other) for i, one in enumerate(boxes) for other in boxes[:i])
