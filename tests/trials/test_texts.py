"""Texts: what the stages read, apart where they must be apart, the same from the same packages."""

import ast
import json
from pathlib import Path

import pytest

from trials import texts
from trials.abilities import ABILITIES, problems
from trials.settings import TrialSettings
from trials.texts import make_texts, prose_paragraphs

SETTINGS = TrialSettings(
    target_problems=12, search_problems=15, control_passages=10,
    mixture_prose=4000, mixture_maths=3000, mixture_code=3000,
)  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trial") / "texts"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(texts, "PROSE", ("numpy",))  # the others are as large as they are
        make_texts(SETTINGS, folder)
    return folder


def rows(file: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def test_problems_are_prompt_and_completion_of_their_own_splits(made):
    for name, ability in ABILITIES.items():
        for split, count in (("target", 12), ("search", 15)):
            wanted = [one._asdict() for one in problems(ability, split, count)]
            assert rows(made / name / f"{split}.jsonl") == wanted
            assert wanted[0].keys() == {"prompt", "completion"}


def test_control_is_prose_and_a_text_near_each_ability(made):
    assert {file.name for file in (made / "control").iterdir()} == {
        "prose.jsonl",
        *(f"near-{name}.jsonl" for name in ABILITIES),
    }
    for file in (made / "control").iterdir():
        assert len({row["text"] for row in rows(file)}) == 10


def test_prose_is_whole_sentences_without_markup_or_code(made):
    for row in rows(made / "control" / "prose.jsonl"):
        text = row["text"]
        assert 300 <= len(text) < 900
        assert text.endswith(".")
        assert not set("`{}|<>[]*_=") & set(text)
        assert text == " ".join(text.split())


def test_the_mixture_has_prose_maths_and_code_from_its_beginning_and_nothing_of_the_control(made):
    mixture = [row["text"] for row in rows(made / "mixture.jsonl")]
    control = {row["text"] for row in rows(made / "control" / "prose.jsonl")}
    assert not control & set(mixture)

    def kind(text: str) -> str:
        if text.startswith("def "):
            ast.parse(text)
            return "code"
        worked = text.startswith("Problem:") or any(
            text.startswith(row.instruction) for row in ABILITIES.values()
        )
        return "maths" if worked else "prose"

    characters = {"prose": 0, "maths": 0, "code": 0}
    for text in mixture:
        characters[kind(text)] += len(text)
    for name, asked in (("prose", 4000), ("maths", 3000), ("code", 3000)):
        assert asked <= characters[name] < asked + 1200
    assert {kind(text) for text in mixture[: len(mixture) // 3]} == set(characters)


def test_no_problem_of_the_mixture_is_one_that_anything_is_judged_by(made):
    mixture = {row["text"] for row in rows(made / "mixture.jsonl")}
    for ability in ABILITIES.values():
        for split in ("held-out", "target", "search", "task"):
            assert not mixture & {one.prompt + one.completion for one in problems(ability, split, 300)}


def test_what_stands_is_not_made_again_and_comes_out_the_same_elsewhere(made, tmp_path, monkeypatch):
    monkeypatch.setattr(texts, "PROSE", ("numpy",))
    make_texts(SETTINGS, tmp_path / "again")
    for file in made.rglob("*.jsonl"):
        assert (tmp_path / "again" / file.relative_to(made)).read_bytes() == file.read_bytes()
    (tmp_path / "again" / "mixture.jsonl").write_text("mine\n")
    make_texts(SETTINGS, tmp_path / "again")
    assert (tmp_path / "again" / "mixture.jsonl").read_text() == "mine\n"


def test_a_package_has_more_prose_than_one_kind_needs(monkeypatch):
    monkeypatch.setattr(texts, "PROSE", ("numpy", "matplotlib"))
    paragraphs = prose_paragraphs()
    assert len(set(paragraphs)) == len(paragraphs) > 200
