"""Settings: a trial is of a model that is there, in abilities that its donors can be trained in."""

import pytest

from sae_merge_method.errors import UsageError
from trials.abilities import ABILITIES
from trials.models import MODELS
from trials.settings import TrialSettings
from trials.trainings import TRAININGS, trained_abilities


def test_every_training_is_of_a_model_and_an_ability_and_every_model_has_two_abilities_or_more():
    for (model, ability), training in TRAININGS.items():
        assert model in MODELS
        assert ability in ABILITIES
        assert training.steps > 0
        assert 0 < training.learning_rate < 1e-2
    assert all(len(trained_abilities(model)) >= 2 for model in MODELS)


def test_a_trial_is_of_the_first_model_and_of_all_abilities_it_has_a_training_for():
    assert TrialSettings().model == next(iter(MODELS))
    for model in MODELS:
        assert TrialSettings(model=model).abilities == trained_abilities(model)


def test_settings_read_from_a_file_are_what_was_written():
    settings = TrialSettings(abilities=("sorting",), seeds=(7,))
    assert TrialSettings.model_validate_json(settings.model_dump_json()) == settings


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"model": "llama"}, "smollm2-135m, gemma-3-270m.*'llama'"),
        ({"abilities": ("letters", "spelling")}, "arithmetic, letters, sorting as an ability.*'spelling'"),
    ],
)
def test_what_no_table_has_is_refused_with_what_there_is(wrong, message):
    with pytest.raises(UsageError, match=message):
        TrialSettings(**wrong)


def test_an_ability_that_a_model_does_not_learn_is_refused_with_where_a_row_would_stand(monkeypatch):
    monkeypatch.delitem(TRAININGS, ("gemma-3-270m", "arithmetic"))
    with pytest.raises(UsageError, match="letters, sorting as an ability.*a row of TRAININGS"):
        TrialSettings(model="gemma-3-270m", abilities=("arithmetic",))
