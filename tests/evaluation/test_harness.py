"""lm-eval inside a worker: what it needs is asked for before anything is loaded."""

import pytest

from sae_merge_method.errors import UsageError
from sae_merge_method.evaluation.harness import Harness
from sae_merge_method.evaluation.settings import BACKENDS, Backend, EvaluationSettings


def test_a_missing_backend_is_named_with_what_installs_it(monkeypatch):
    monkeypatch.setitem(BACKENDS, "new", Backend("new", "no_such_package", "lm-eval[new]", takes_device=True))
    words = r"evaluation\.model: no_such_package is not installed: pip install 'lm-eval\[new\]'"
    with pytest.raises(UsageError, match=words):
        Harness(EvaluationSettings(model="new"), "./base")
