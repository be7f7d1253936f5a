"""What a result says it was made from: weights, precision and settings."""

import json
from pathlib import Path

from sae_merge_method.artifacts.tune import Tune, read_tune
from sae_merge_method.identity.fingerprint import fingerprint
from sae_merge_method.models.checkpoint import open_checkpoint
from sae_merge_method.tune.settings import TuneSettings
from tests.tune.planted import Planted


def test_a_result_says_of_which_weights_it_is_and_how_they_were_searched(
    tuned: Tune, planted: Planted
) -> None:
    base, donor = (fingerprint(open_checkpoint(planted.folder / name)) for name in ("base", "donor"))
    assert (tuned.base_fingerprint, tuned.donor_fingerprints) == (base, (donor,))
    told = tuned.settings
    assert (told["device"], told["budget.nats"], told["tokens_per_step"]) == ("cpu", 0.05, 400)
    assert told["group_field"] is told["evaluation"] is None and not {"base", "target", "hold"} & told.keys()


def test_a_result_from_before_those_were_kept_is_read(out: Path, tuned: Tune, tmp_path: Path) -> None:
    kept = {"base_fingerprint", "donor_fingerprints", "settings"}
    whole = {
        key: value for key, value in json.loads((out / "tune.json").read_text()).items() if key not in kept
    }
    for text in (whole["target"], *whole["controls"]):
        del text["sources"]
    (tmp_path / "tune.json").write_text(json.dumps(whole))
    before = read_tune(tmp_path)
    assert (before.base_fingerprint, before.donor_fingerprints, before.settings) == (None, (), {})
    assert before.winner == tuned.winner


def test_settings_within_settings_are_kept_by_their_whole_names() -> None:
    asked = {"base": "a", "donor": "b", "control": "c", "budget": 0.1, "sizes": [1, 2], "device": "auto"}
    told = TuneSettings.model_validate(asked | {"evaluation": {"gen_kwargs": {"top_k": 3}}}).recorded("cuda")
    assert (told["evaluation.gen_kwargs.top_k"], told["sizes"], told["device"]) == (3, "1, 2", "cuda")
