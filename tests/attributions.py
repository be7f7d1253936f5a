"""An attribution of a base with four layers, for whoever chooses layers by one or shows it."""

from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from sae_merge_method.artifacts.attribution import (
    Amount,
    AttributedLayer,
    AttributedModel,
    AttributedText,
    Attribution,
    write_attribution,
)
from sae_merge_method.artifacts.attribution_groups import GROUPS_FILE, TextGroups
from sae_merge_method.artifacts.donor_score import DonorScore, LayerScore
from sae_merge_method.identity.fingerprint import fingerprint
from sae_merge_method.models.checkpoint import open_checkpoint

SCORES = {"attributed_gain": (0.1, 0.9, -0.2, 0.7), "lewis": (0.0, 0.1, 0.2, 0.3)}


def save_attribution(folder: Path, base: Path, donor: Path) -> Path:
    """An attribution whose scores and parts are known."""
    folder.mkdir(exist_ok=True)
    layers = tuple(
        AttributedLayer(layer=layer, first_order=Amount(gain=gain), path=Amount(gain=gain), share=gain / 1.5)
        for layer, gain in enumerate(SCORES["attributed_gain"])
    )
    text = AttributedText(
        name="maths.jsonl", sha256="a" * 64, documents=2, groups=2, tokens=20, answers=False, base_loss=1.0,
        donor_loss=-0.5, gain=Amount(gain=1.5, low=1.4, high=1.6), layers=layers,
    )  # fmt: skip
    harmed = text.model_copy(
        update={
            "name": "prose.jsonl",
            "gain": Amount(gain=-0.2, low=-0.3, high=-0.1),
            "layers": tuple(
                AttributedLayer(layer=layer, first_order=Amount(gain=-0.05), path=Amount(gain=-0.05))
                for layer in range(4)
            ),
        }
    )
    models = [
        AttributedModel(id=str(model), fingerprint=fingerprint(open_checkpoint(model)))
        for model in (base, donor)
    ]
    scores = tuple(
        DonorScore(
            name=name,
            unit="",
            layers=tuple(LayerScore(layer=nth, score=one) for nth, one in enumerate(of_layers)),
        )
        for name, of_layers in SCORES.items()
    )
    attribution = Attribution(
        base=models[0], donor=models[1], target=text, controls=(harmed,), scores=scores, settings={}
    )
    none = np.zeros((2, 0))
    sums = TextGroups(np.array([10, 10]), np.zeros(2), *[none] * 7)
    write_attribution(folder, attribution, (sums, sums))
    return folder


def read_groups(folder: Path, n_texts: int) -> tuple[TextGroups, ...]:
    """The sums of an attribution's groups, in the order of its texts, as anyone reads them from its folder."""
    tensors = load_file(folder / GROUPS_FILE)
    return tuple(
        TextGroups(*(tensors[f"{nth}.{name}"] for name in TextGroups._fields)) for nth in range(n_texts)
    )
