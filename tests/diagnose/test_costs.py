"""The steps of a diagnosis done on a little: what they cost is a number of seconds, and changes nothing."""

from pathlib import Path

import numpy as np

from sae_merge_method.artifacts.usage import Documents
from sae_merge_method.corpora.batches import make_batches
from sae_merge_method.corpora.tokens import Document
from sae_merge_method.diagnose.costs import encode_seconds, forward_seconds, score_seconds, timed_load
from sae_merge_method.diagnose.layer_encoders import LayerEncoders, load_layer_encoders
from sae_merge_method.diagnose.scales import LayerScale
from sae_merge_method.diagnose.settings import DiagnoseSettings, ScoringSettings
from sae_merge_method.diagnose.sited_saes import SitedSae
from sae_merge_method.loaded.sites import Site
from sae_merge_method.loaded.text_model import load_text_model
from sae_merge_method.saes.find import find_saes
from tests.diagnose import hosts


def test_every_step_takes_some_time_and_loading_no_more_memory_than_there_is(
    gemma3: Path, random_saes: str
) -> None:
    model = load_text_model(str(gemma3))
    settings = DiagnoseSettings(model=str(gemma3), sae=random_saes, target="a", control=("b",))
    (address,) = find_saes(random_saes, None, [1])
    sited = SitedSae(address, Site(1))
    loads: list[LayerEncoders] = []

    def load() -> LayerEncoders:
        loads.append(load_layer_encoders(settings, sited, model))
        return loads[-1]

    encoders, load_seconds, libraries = timed_load(load)
    assert encoders is loads[1]
    assert libraries >= 0
    (batch,) = make_batches([Document(np.arange(6, 26), np.ones(20, dtype=np.bool_))] * 3, 100)
    scale = LayerScale(5.0, 5.0, np.zeros(hosts.D_MODEL, dtype=np.float32))
    seconds = [load_seconds, forward_seconds(model, batch), encode_seconds(model, encoders, scale)]
    assert all(0 < step < np.inf for step in seconds)


def test_scoring_is_costed_for_any_number_of_controls_and_dictionaries() -> None:
    documents = Documents(np.repeat([0, 1, 2], 6), np.arange(18))
    few = ScoringSettings(permutations=5, bootstrap=5)
    assert all(0 < score_seconds(documents, few, others) < np.inf for others in (0, 2))
