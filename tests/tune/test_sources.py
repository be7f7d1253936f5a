"""Texts that are parts of one source do not vary by themselves: what is told of them is told by source."""

import json
from pathlib import Path

import pytest

from sae_merge_method.artifacts.tune import Tune, read_tune
from sae_merge_method.artifacts.tuned_edits import Effect
from sae_merge_method.tune.run import tune
from sae_merge_method.tune.settings import TuneSettings
from tests.tune.planted import Planted

COPIES = 4


def searched(planted: Planted, folder: Path, copies: int, *, named: bool = True) -> Tune:
    """A brief search of the planted texts, so many copies of each under one source, or under none."""
    folder.mkdir()
    files = {}
    for name in ("target", "control"):
        rows = [json.loads(line) for line in (planted.folder / f"{name}.jsonl").read_text().splitlines()]
        told = [
            row | {"url": f"{name} {nth}" if named else None}
            for nth, row in enumerate(rows)
            for _ in range(copies)
        ]
        files[name] = folder / f"{name}.jsonl"
        files[name].write_text("".join(json.dumps(row) + "\n" for row in told))
    asked = {**planted.brief, **files, "group_field": "url"}
    return tune(TuneSettings.model_validate(asked), folder / "out")


def donors(tuned: Tune) -> list[Effect]:
    """What the whole donor does on the search part and on the report part: the same edit in every search."""
    (on_report,) = (one.report for one in tuned.rivals if one.name == "donor")
    return [tuned.donors_alone[0], on_report]


def test_copies_under_one_source_tell_no_more_than_one_of_them(planted: Planted, tmp_path: Path) -> None:
    once, often = (searched(planted, tmp_path / str(copies), copies) for copies in (1, COPIES))
    for one, many in zip(donors(once), donors(often), strict=True):
        for single, of_source in ((one.gain, many.gain), (one.damage, many.damage)):
            assert single.interval is not None
            assert of_source.delta == pytest.approx(single.delta, rel=1e-5)
            assert of_source.interval == pytest.approx(single.interval, rel=1e-5)
    for text, as_chunks in ((once.target, often.target), (once.controls[0], often.controls[0])):
        assert as_chunks.sources == text.sources == text.texts
        assert as_chunks.texts == {part: COPIES * count for part, count in text.texts.items()}
    count = once.target.texts["report"]
    assert (
        f"{COPIES * count} texts of {count} sources in the report part"
        in (tmp_path / f"{COPIES}" / "out" / "tune.md").read_text()
    )


def test_texts_without_a_source_are_each_their_own(planted: Planted, brief: Path, tmp_path: Path) -> None:
    found, usual = searched(planted, tmp_path / "null", 1, named=False), read_tune(brief)
    assert found.target.sources == found.target.texts and usual.target.sources is None
    assert results(found) == results(usual)


def results(tuned: Tune) -> object:
    """All that was measured; texts have another place."""
    whole = json.dumps(
        tuned.model_dump(mode="json", exclude={"target", "controls", "recipe_sha256", "settings"})
    )
    return whole.replace(tuned.controls[0].name, "control")
