"""Small diagnoses for tests of the stages that only read them."""

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

from sae_merge_method.artifacts.diagnosis import Corpus, Diagnosis, ModelSource, OtherScores, write_diagnosis
from sae_merge_method.artifacts.layer_diagnosis import LayerDiagnosis, Null, SaeSource
from sae_merge_method.identity.fingerprint import fingerprint
from sae_merge_method.layers import UnitT, layer_of, part_of_layer
from sae_merge_method.models.checkpoint import open_checkpoint
from tests import tiny

HOOKS = {None: "hook_resid_post", "attn": "hook_attn_out", "mlp": "hook_mlp_out"}


def corpus(name: str) -> Corpus:
    """Two documents that were encoded as they were."""
    return Corpus(
        name=name,
        sha256=sha256(name.encode()).hexdigest(),
        documents=2,
        tokens=10,
        documents_read=2,
        tokens_read=10,
    )


def save_diagnosis(
    folder: Path,
    model: Path,
    scores: Mapping[UnitT, float],
    *,
    corrected: Mapping[UnitT, float] | None = None,
    others: tuple[OtherScores, ...] = (),
) -> Path:
    """A diagnosis of ``model`` with these scores, in ``folder``; without shuffles unless ``corrected`` is
    given."""

    def null(layer: UnitT) -> Null | None:
        if corrected is None:
            return None
        mean = scores[layer] - corrected[layer]
        return Null(permutations=99, mean=mean, sd=0.1, high=mean, p=0.01, q=0.01, corrected=corrected[layer])

    layers = tuple(
        LayerDiagnosis(
            layer=layer_of(layer),
            part=part_of_layer(layer),
            score=score,
            null=null(layer),
            explained_variance=0.9,
            l0=8.0,
            sae=SaeSource(
                release="saes/layer_{layer}",
                id="",
                sha256="0" * 64,
                architecture="jumprelu",
                hook_point=f"blocks.{layer_of(layer)}.{HOOKS[part_of_layer(layer)]}",
                d_sae=32,
            ),
        )
        for layer, score in scores.items()
    )
    checkpoint = open_checkpoint(model)
    diagnosis = Diagnosis(
        model=ModelSource(
            id=str(model),
            config_sha256=checkpoint.config_sha256,
            fingerprint=fingerprint(checkpoint),
            n_layers=tiny.N_LAYERS,
            d_model=tiny.D_MODEL,
        ),
        score="kl_bits",
        layers=layers,
        target=corpus("maths.jsonl"),
        controls=(corpus("prose.jsonl"),),
        others=others,
        settings={},
    )
    folder.mkdir(parents=True)
    write_diagnosis(folder, diagnosis)
    return folder
