"""Problems that cannot be counted are not known; a mistake in counting them is not hidden behind that."""

import httpx
import pytest

from sae_merge_method.errors import UsageError
from sae_merge_method.evaluation.harness import Harness
from sae_merge_method.evaluation.settings import EvaluationSettings
from sae_merge_method.experiment.prospect import tasks_ahead


def counted(monkeypatch, error):
    def sizes(self):
        raise error

    monkeypatch.setattr(Harness, "sizes", sizes)
    return tasks_ahead(EvaluationSettings(), "base", "exact_match")


@pytest.mark.parametrize(
    "error",
    [
        ConnectionError("no Hub"),
        ValueError("no cache"),
        httpx.ConnectError("no net"),
        FileNotFoundError("no file"),
    ],
)
def test_a_data_set_that_is_not_at_hand_leaves_its_problems_unknown(monkeypatch, error):
    ahead = counted(monkeypatch, error)
    assert (ahead.tasks, ahead.reason) == ((), f"{type(error).__name__}: {error}")


@pytest.mark.parametrize("error", [KeyError("mistaken"), TypeError("mistaken"), UsageError("no such task")])
def test_any_other_error_is_the_caller_s(monkeypatch, error):
    with pytest.raises(type(error), match=str(error.args[0])):
        counted(monkeypatch, error)
