"""A trial's folder laid out by hand: two abilities, a donor each, eight layers."""

from pathlib import Path

from sae_merge_method.artifacts.attribution import (
    Amount,
    AttributedLayer,
    AttributedModel,
    AttributedText,
    Attribution,
    write_attribution,
)
from sae_merge_method.artifacts.diagnosis import OtherScores, read_diagnosis, write_diagnosis
from sae_merge_method.artifacts.donor_score import DonorScore, LayerScore
from sae_merge_method.experiment.report.write import report_experiment
from sae_merge_method.files.writing import canonical_json
from sae_merge_method.identity.fingerprint import fingerprint
from sae_merge_method.models.checkpoint import open_checkpoint
from tests import tiny
from tests.diagnoses import save_diagnosis
from tests.experiment.report.folders import EVERY_KIND, Laid, harmed, lay_out
from trials.donors import DonorRecord
from trials.folder import DonorName, TrialFolder

N_LAYERS = 8
WAVE = (0.1, 0.4, 0.9, 0.5, 0.2, 0.3, 0.8, 0.6)
"""What layers gain alone."""
DONORS = (DonorName("sums", 0), DonorName("words", 0))


def lay_out_trial(root: Path, *, learned: tuple[float, ...] = WAVE) -> TrialFolder:
    """Write everything but tuned edits; ``learned`` is what the donors' first-order score says."""
    folder = TrialFolder(root)
    model = tiny.gemma3_text(root / "base", seed=0, n_layers=N_LAYERS)
    curve = [_damped(weight) for weight in (0.25, 0.5)]
    for donor in DONORS:
        target = root / folder.target(donor.ability)
        target.parent.mkdir(parents=True)
        target.write_text('{"prompt": "1 + 1 =", "completion": " 2"}\n')
        record = root / folder.donor_record(donor)
        record.parent.mkdir(parents=True, exist_ok=True)
        record.write_text(canonical_json(_trained(donor).model_dump()))
        scores = {layer: layer / 10 for layer in range(N_LAYERS)}
        other = OtherScores(kind="score", name="js_bits", scores={layer: -layer / 10 for layer in scores})
        diagnosis = save_diagnosis(root / folder.diagnosis(donor.ability), model, scores, others=(other,))
        standing = read_diagnosis(diagnosis)
        of_eight = standing.model.model_copy(update={"n_layers": N_LAYERS})
        write_diagnosis(diagnosis, standing.model_copy(update={"model": of_eight}))
        attribution = root / folder.attribution(donor)
        attribution.mkdir(parents=True)
        write_attribution(attribution, _attribution(model, learned), ())
        experiment = lay_out(root / folder.experiment(donor), [*EVERY_KIND, *curve])
        report_experiment(experiment)
        (root / f"{folder.experiment(donor)}.yml").write_text("arms: [all-layers]\n")
    return folder


def _trained(donor: DonorName) -> DonorRecord:
    """A quarter of what it gained is form."""
    return DonorRecord(
        model="smollm2-135m",
        ability=donor.ability,
        seed=donor.seed,
        steps=3,
        problems_a_step=8,
        learning_rate=1e-3,
        held_out=100,
        base_exact_match=0.2,
        donor_exact_match=0.8,
        base_in_form=0.5,
        donor_in_form=1.0,
        form_share=0.25,
    )


def _damped(weight: float) -> Laid:
    right = (20 + int(50 * weight), 10 + int(30 * weight))
    return harmed(Laid(f"damped-{weight:g}", right, tuple(range(N_LAYERS)), weight=weight), 90 * weight)


def _attribution(model: Path, learned: tuple[float, ...]) -> Attribution:
    one = AttributedModel(id="./base", fingerprint=fingerprint(open_checkpoint(model)))
    score = DonorScore(
        name="first_order_gain",
        unit="nats a token",
        layers=tuple(LayerScore(layer=layer, score=value) for layer, value in enumerate(learned)),
    )
    return Attribution(
        base=one, donor=one, target=_text("target", 1.0), controls=(_text("prose", -0.1),), scores=(score,),
        settings={},
    )  # fmt: skip


def _text(name: str, scale: float) -> AttributedText:
    layers = tuple(
        AttributedLayer(
            layer=layer,
            first_order=Amount(gain=scale * value),
            path=Amount(gain=scale * value),
            probe=Amount(gain=scale * value),
        )
        for layer, value in enumerate(WAVE)
    )
    return AttributedText(
        name=name,
        sha256="ab" * 32,
        documents=2,
        groups=2,
        tokens=10,
        answers=True,
        base_loss=2.0,
        layers=layers,
    )
