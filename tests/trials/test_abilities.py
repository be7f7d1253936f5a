"""Abilities: answers are right, prompts tell the form, splits share nothing, same seed same problems."""

import re

import pytest

from sae_merge_method.errors import UsageError
from trials.abilities import ABILITIES, SPLITS, WORDS, ability_named, near_texts, problems, split_of, stream

SOLVERS = {
    "arithmetic": lambda asked: str(sum(map(int, asked.split(" + ")))),
    "letters": lambda asked: " ".join(word[0] for word in asked.split()),
    "sorting": lambda asked: " ".join(sorted(asked.split())),
}


def asked_of(prompt: str, sign: str) -> str:
    return prompt.splitlines()[-1].removesuffix(f" {sign}")


@pytest.mark.parametrize("ability", ABILITIES.values(), ids=ABILITIES)
def test_every_answer_is_exact_and_has_its_form(ability):
    for problem in problems(ability, "train", 300):
        asked = asked_of(problem.prompt, ability.sign)
        assert problem.answer == SOLVERS[ability.name](asked)
        assert problem.completion == f" {problem.answer}"
        assert re.fullmatch(ability.form, problem.answer)
    assert ability.shown.answer == SOLVERS[ability.name](ability.shown.asked)


@pytest.mark.parametrize("ability", ABILITIES.values(), ids=ABILITIES)
def test_a_prompt_says_what_to_do_and_shows_the_form_by_an_example_that_is_never_asked(ability):
    drawn = problems(ability, "task", 100)
    for problem in drawn:
        instruction, example, _ = problem.prompt.splitlines()
        assert instruction == ability.instruction
        assert example == f"{ability.shown.asked} {ability.sign} {ability.shown.answer}"
        assert asked_of(problem.prompt, ability.sign) != ability.shown.asked
        assert problem.prompt == problem.prompt.rstrip()


@pytest.mark.parametrize("ability", ABILITIES.values(), ids=ABILITIES)
def test_splits_share_no_problem_whatever_their_seeds_and_none_comes_twice(ability):
    drawn = {
        (split, seed): [problem.prompt for problem in problems(ability, split, 250, seed)]
        for split in SPLITS
        for seed in (0, 1)
    }
    for one in drawn.values():
        assert len(set(one)) == len(one) == 250
    for (split, _), one in drawn.items():
        for (other, _), another in drawn.items():
            assert split == other or not set(one) & set(another)
    assert drawn["train", 0] != drawn["train", 1]
    assert drawn["train", 0] == [problem.prompt for problem in problems(ability, "train", 250)]


def test_the_shares_of_the_splits_are_a_hundred_and_are_kept():
    assert sum(SPLITS.values()) == 100
    ability = ABILITIES["arithmetic"]
    counts = dict.fromkeys(SPLITS, 0)
    for a in range(10, 100):
        for b in range(10, 100):
            counts[split_of(ability, ability.shown._replace(asked=f"{a} + {b}"))] += 1
    for split, share in SPLITS.items():
        assert counts[split] / 81 == pytest.approx(share, abs=1.5), split


def test_a_split_comes_to_an_end_instead_of_drawing_for_ever():
    ability = ABILITIES["arithmetic"]._replace(draw=lambda rng: ABILITIES["arithmetic"].shown)
    assert list(stream(ability, "train")) == []


@pytest.mark.parametrize("ability", ABILITIES.values(), ids=ABILITIES)
def test_a_text_close_to_an_ability_is_none_of_its_problems(ability):
    texts = near_texts(ability, 50)
    assert len(set(texts)) == 50
    assert all(ability.instruction not in text and ability.sign not in text for text in texts)


def test_another_ability_is_a_row(monkeypatch):
    doubling = ABILITIES["arithmetic"]._replace(
        name="doubling",
        draw=lambda rng: ABILITIES["arithmetic"].shown._replace(asked=str(rng.randint(1, 999))),
    )
    monkeypatch.setitem(ABILITIES, "doubling", doubling)
    assert ability_named("doubling") is doubling
    assert len(problems(doubling, "target", 20)) == 20


def test_a_name_that_no_row_has_is_refused_with_the_names_there_are():
    with pytest.raises(UsageError, match=r"arithmetic, letters, sorting.*'spelling'"):
        ability_named("spelling")


def test_words_are_plain_and_no_two_alike():
    assert len(set(WORDS)) == len(WORDS) > 500
    assert all(re.fullmatch("[a-z]{3,8}", word) for word in WORDS)
