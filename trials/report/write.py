"""The report as files: ``report.json``, ``report.md``, pictures; and the same page for the documentation."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from sae_merge_method.files.writing import write_bytes, write_text
from sae_merge_method.reports.grid import Grid, as_markdown
from sae_merge_method.reports.markdown import bullets, fence, section
from trials.report.arms import by_kind
from trials.report.claims import Statement, conclusions_grid, statements
from trials.report.conditions import (
    flat_sentence,
    machine_sentence,
    missing_sentence,
    sizes_grid,
    timings_grid,
)
from trials.report.layers import alike, alike_grid, own_damage, own_gain, ranked, ranks_grid
from trials.report.pictures import curves_picture, layers_picture
from trials.report.read import Findings, read_findings
from trials.report.tables import arms_grid, donors_grid, kinds_grid, rounding_grid, tuned_grid
from trials.report.tuned import tuned_pairs
from trials.report.words import counted
from trials.sizes import SIZES
from trials.trainings import trained_abilities


class Part(NamedTuple):
    """One section of the page."""

    title: str
    reading: str
    """How the table is read, in a few sentences."""
    grids: tuple[Grid, ...]
    stage: str
    """The stage whose command stands beside it; empty for none."""
    picture: str = ""
    """Name of a picture that stands above the tables."""


def write_report(root: Path, model: str, docs: Path | None = None) -> list[Path]:
    """Write the report of what stands.

    Args:
        root: The trial's folder.
        model: Its name.
        docs: Also write ``<model>.md`` and its pictures here.

    Returns:
        The files that were written.

    Raises:
        ArtifactError: Something of the trial is damaged; the file is named.
    """
    findings = read_findings(root, model)
    said, parts = contents(findings)
    pictures = {"curves": curves_picture(findings.runs), "layers": layers_picture(findings)}
    drawn = {name: data for name, data in pictures.items() if data is not None}
    written = []
    for folder, stem in [(root, "report"), *([(docs, model)] if docs is not None else [])]:
        names = {name: f"{stem}-{name}.png" for name in drawn}
        for name, data in drawn.items():
            write_bytes(folder / names[name], data)
        write_text(folder / f"{stem}.md", page(findings, said, parts, names))
        written += [folder / f"{stem}.md", *(folder / name for name in names.values())]
    write_text(root / "report.json", _json(findings, said, parts))
    return [*written, root / "report.json"]


def contents(findings: Findings) -> tuple[list[Statement], list[Part]]:
    """All sentences and tables."""
    gains = ranked(findings, own_gain, damage=False)
    damages = ranked(findings, own_damage, damage=True)
    likeness, kinds, pairs = alike(findings), by_kind(findings.runs), tuned_pairs(findings.runs)
    donors = [str(run.donor) for run in findings.runs]
    measured = [run for run in findings.runs if run.experiment is not None]
    rounded = [run for run in findings.runs if run.rounded]
    parts = [
        Part("What the donors learned", _DONORS, (donors_grid(measured),), "experiment"),
        Part("Scores and a layer's own gain", _GAINS, (ranks_grid(gains, donors),), "attribute", "layers"),
        Part("Scores and a layer's own damage", _DAMAGES, (ranks_grid(damages, donors),), "attribute"),
        Part("Is a score of the ability, or of the layer?", _ALIKE, (alike_grid(likeness),), "diagnose"),
        Part(
            "Every arm beside the damping curve",
            _CURVE + flat_sentence(measured),
            (kinds_grid(kinds),),
            "experiment",
            "curves",
        ),
        Part("What the experiments conclude", _CLAIMS, (conclusions_grid(findings),), "experiment"),
        Part("What rounding leaves", _ROUNDING, tuple(map(rounding_grid, rounded)), "rounding"),
        Part("Tuned edits", _TUNED, (tuned_grid(pairs),), "tune"),
        Part("Every arm of every donor", _ARMS, tuple(map(arms_grid, measured)), ""),
    ]
    with_rows = [part for part in parts if any(grid.rows for grid in part.grids)]
    return statements(gains, likeness, kinds, pairs), with_rows


def page(
    findings: Findings, said: Sequence[Statement], parts: Sequence[Part], pictures: dict[str, str]
) -> str:
    """The report as Markdown."""
    sides = (("For", "for"), ("Against", "against"), ("Beside the paper", "neither"))
    listed = [
        f"**{title}**\n\n{bullets([one.text for one in said if one.side == side])}"
        for title, side in sides
        if any(one.side == side for one in said)
    ]
    abilities = dict.fromkeys(run.donor.ability for run in findings.runs)
    seeds = sorted({run.donor.seed for run in findings.runs})
    attributed = sum(run.attribution is not None for run in findings.runs)
    with_arms = sum(run.experiment is not None for run in findings.runs)
    head = (
        f"# The trial on {findings.model}\n\nA real model: of {counted(len(findings.runs), 'donor')} "
        f"{attributed} attributed, {with_arms} with arms ({', '.join(abilities)}; "
        f"{'seed' if len(seeds) == 1 else 'seeds'} {', '.join(map(str, seeds))}), judged by "
        "exact answers. Every number here was printed by a command of this repository; `python -m trials "
        "report` writes this page from what the trial left. It is one model: **a lead, not a law**."
    )
    blocks = [head, missing_sentence(findings), section("For and against", *listed)]
    blocks += [_section(findings, part, pictures) for part in parts]
    how = [
        machine_sentence(findings.timings, findings.record),
        as_markdown(timings_grid(findings.timings)),
        _sae_sentence(findings),
        "The sizes, all of which trade time for sharpness:",
        as_markdown(sizes_grid(findings.record.sizes)),
        fence(
            f"python -m trials run --model {findings.model}{_options(findings)}\n"
            f"python -m trials report --model {findings.model} --docs docs/trials",
            _ON_TWO_CORES if findings.record.device == "cpu" else _ON_A_GPU,
        ),
    ]
    blocks.append(section("How it was run", *how))
    return "\n\n".join(block for block in blocks if block) + "\n"


def _section(findings: Findings, part: Part, pictures: dict[str, str]) -> str:
    command = findings.command(part.stage) if part.stage else None
    drawn = pictures.get(part.picture)
    tables = [
        "\n\n".join([*([f"### {grid.title}"] if grid.title else []), as_markdown(grid._replace(title=""))])
        for grid in part.grids
        if grid.rows
    ]
    return section(
        part.title,
        part.reading,
        f"![{part.title}]({drawn})" if drawn else "",
        *tables,
        fence(command, _IN_THE_FOLDER) if command else "",
    )


def _options(findings: Findings) -> str:
    record = findings.record
    few = record.abilities and set(record.abilities) != set(trained_abilities(findings.model))
    abilities = f" --abilities {','.join(record.abilities)}" if few else ""
    size = "" if record.size == next(iter(SIZES)) else f" --sizes {record.size}"
    return f"{abilities}{size}" if record.device == "cpu" else f"{abilities}{size} --device cuda"


def _sae_sentence(findings: Findings) -> str:
    if findings.training is None:
        return ""
    judged = [one.judgement.explained_variance for one in findings.training.saes if one.judgement]
    texts = ", ".join(text.name for text in findings.training.texts)
    explained = f", which explain {min(judged):.2f} to {max(judged):.2f} of the variance" if judged else ""
    return (
        f"SAEs: {len(findings.training.saes)} of {findings.training.saes[0].d_sae:,} features, trained on "
        f"{findings.training.tokens:,} tokens of {texts}{explained}."
    )


def _json(findings: Findings, said: Sequence[Statement], parts: Sequence[Part]) -> str:
    def rows(grid: Grid) -> list[list[float | str | None]]:
        return [[cell.text if cell.value is None else cell.value for cell in row] for row in grid.rows]

    content = {
        "model": findings.model,
        "sizes": findings.record.sizes.model_dump(mode="json"),
        "statements": [one._asdict() for one in said],
        "tables": [
            {
                "title": " ".join(filter(None, (part.title, grid.title))),
                "command": findings.command(part.stage) if part.stage else None,
                "header": list(grid.header),
                "rows": rows(grid),
            }
            for part in parts
            for grid in part.grids
        ],
    }
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


_IN_THE_FOLDER = 'sh title="Needs the folder of the trial"'
"""What a command is marked by that stands beside its table."""
_ON_TWO_CORES = 'sh title="Takes an hour or two of two cores; make trial does all set-up too"'
_ON_A_GPU = 'sh title="Takes minutes of a GPU; make trial does it on the CPU"'
_DONORS = (
    "Exact answers with Wilson's interval at 95 %, and the loss on the answer's tokens in nats a token. "
    "*Gain of form* is told where a donor is trained: of the problems that it has right and the base has "
    "not, the share where what the base says does not even look like an answer."
)
_GAINS = (
    "Spearman's rank correlation over layers, in brackets given depth and its square. Bold, and counted "
    "under *shown*: p < .05 given depth among shifted and mirrored profiles, which are as smooth; without "
    "that null, smooth profiles rank as high by luck. A layer's own gain is measured: it alone is "
    "injected, at weight 1."
)
_DAMAGES = (
    "The same with what the layer alone, at weight 1, adds to the loss on prose: a score that avoids damage "
    "is below 0."
)
_ALIKE = (
    "Rank correlation between the profiles of two different abilities, and between two donors of one "
    "ability. What agrees as well across abilities as within one says nothing of the ability."
)
_CURVE = (
    "All layers at weights from 0 to 1 are the line to beat. An arm's exact answers are held against that "
    "line at the arm's own damage to prose, as `sae-merge experiment` does it (Holm over a donor's arms), or "
    "against all of it where it gains more than each of its weights; the same in answer loss (p < .05, "
    "uncorrected). Means over donors; of several arms of a kind, their mean first."
)
_CLAIMS = 'How many donors\' experiments say what of each claim; "not shown" is no proof of the opposite.'
_ROUNDING = (
    "All layers of one donor at every weight, stored as bfloat16 by rounding to nearest or stochastically, "
    "or as float32. Realised energy is that of what was stored over what was to be."
)
_TUNED = (
    "On the report part, which neither search nor choice saw: gain and damage in nats a token. *Above the "
    "curve* is the winner's gain less that of all layers damped to its damage, tested pairwise; where "
    "nothing on the curve does so little, and it gains more than every weight that was measured, less that "
    "of the weight nearest to it. *Share of it*: its damage over that of all layers damped to its gain, bold "
    "for half or less that is shown to be less. *Exact* is the edit as an arm of the experiment, on other "
    "problems."
)
_ARMS = "Exact answers with Wilson's interval; gains and damages against the base with intervals at 95 %."
