"""What passes through features under an edit, run by run: each layer alone, target beside controls, interrupted and gone on with."""

import pytest
import torch

from sae_merge_method.artifacts.attribution import ATTRIBUTION_FILE, ATTRIBUTION_PAGE
from sae_merge_method.artifacts.attribution_groups import GROUPS_FILE
from sae_merge_method.attribute import feature_chunks, streams
from sae_merge_method.attribute.run import attribute
from sae_merge_method.attribute.streams import streams_of
from sae_merge_method.errors import ArtifactError, RefusedSaeError, UsageError
from sae_merge_method.files.progress import Progress
from sae_merge_method.in_memory.opening import open_edited
from sae_merge_method.in_memory.weights import by_unit
from sae_merge_method.loaded.residual_stream import forward
from sae_merge_method.saes.find import find_saes
from sae_merge_method.saes.opening import load_sae
from sae_merge_method.together.workers import ALONE
from tests.attribute.conftest import settings
from tests.attribute.planted import DAMAGE, GAIN, N_LAYERS
from tests.attributions import read_groups
from tests.diagnose import hosts
from tests.in_memory.models import batch_of, loss_of

D_MODEL = 16


@pytest.fixture(scope="module")
def saes(tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("saes")
    for layer in range(N_LAYERS):
        hosts.save_raw(folder / f"layer_{layer}", layer, d_in=D_MODEL)
    return str(folder / "layer_{layer}")


@pytest.fixture(scope="module")
def followed(ground, planted, saes, tmp_path_factory):
    out = tmp_path_factory.mktemp("followed") / "out"
    return out, attribute(settings(ground, planted, sae=saes, first_order=True), out)


def of_layers(text):
    return {entry.layer: entry.by_feature for entry in text.layers}


def test_each_layer_is_edited_alone_and_reads_what_it_reads_in_the_base(ground, planted, tmp_path):
    with open_edited(ground.base, [planted], beside=tmp_path / "x", device="cpu") as edited:
        batch = batch_of(edited.model)
        found = dict(streams_of(edited, [batch], range(N_LAYERS), recompute=False))
        everywhere = batch._replace(counted=batch.attention)
        for layer, (one,) in found.items():
            for weight, states in ((0.0, one.base), (1.0, one.edited)):
                edited.set_weights(by_unit({layer: weight}))
                alone = forward(edited.model, everywhere, {layer: torch.clone})[layer]
                torch.testing.assert_close(states, alone)


def test_gradients_are_those_of_the_loss_at_each_layers_output(ground, planted, tmp_path):
    from sae_merge_method.loaded.passes import hooked
    from sae_merge_method.loaded.sites import Site

    with open_edited(ground.base, [planted], beside=tmp_path / "x", device="cpu") as edited:
        batch, model = batch_of(edited.model), edited.model
        losses = {}
        ((_, (one,)),) = list(streams_of(edited, [batch], [1], recompute=True))
        edited.set_weights(by_unit({}))
        direction = torch.randn(one.base.shape, generator=torch.Generator().manual_seed(0))
        step = torch.zeros(*batch.ids.shape, D_MODEL)
        step[torch.from_numpy(batch.attention)] = direction
        for size in (-1e-2, 1e-2):
            with hooked(model, {Site(1): lambda states, size=size: states + size * step}), torch.no_grad():
                losses[size] = float(loss_of(model, batch)()) * batch.counted.sum()
        slope = (losses[1e-2] - losses[-1e-2]) / 2e-2
        assert float((one.gradient * direction).sum()) == pytest.approx(slope, rel=1e-2)


def test_a_layer_that_is_not_edited_does_nothing_and_those_that_are_add_up(followed):
    out, attribution = followed
    for text, sums in zip(attribution.texts, read_groups(out, 2), strict=True):
        for nth, one in enumerate(of_layers(text).values()):
            assert one.features + one.error == pytest.approx(one.effect)
            assert sums.through_features[:, nth].sum() / text.tokens == pytest.approx(one.features)
    gains, harms = (
        {layer: one.effect + one.uncounted for layer, one in of_layers(text).items()}
        for text in attribution.texts
    )
    assert max(gains, key=gains.__getitem__) == GAIN
    assert min(harms, key=harms.__getitem__) == DAMAGE


def test_features_are_named_with_the_text_they_act_on_for_target_and_control(followed):
    _, attribution = followed
    assert set(attribution.saes) == set(range(N_LAYERS))
    for text, letter in zip(attribution.texts, "mp", strict=True):
        top = of_layers(text)[GAIN].top
        assert abs(top[0].gain) == max(abs(one.gain) for one in top)
        assert f"«{letter}" in top[0].snippets[0]
    page = (followed[0] / ATTRIBUTION_PAGE).read_text()
    assert "Features that the edit acts through" in page
    assert "through the features of its SAE" in str(attribution)


def test_the_score_is_the_share_that_passes_apart_from_what_the_controls_use(followed):
    _, attribution = followed
    at_layers = of_layers(attribution.target)
    scores = attribution.scores_by("sae_attribution")
    for layer, one in at_layers.items():
        shared = one.features - one.apart
        passing = abs(one.apart) + abs(shared) + abs(one.error)
        assert scores[layer] == pytest.approx(one.apart / passing if passing else 0)
    (row,) = [one for one in attribution.scores if one.name == "sae_attribution"]
    assert all(0 < entry.p <= entry.q <= 1 for entry in row.layers)
    assert "dealt out" in row.null


def test_without_saes_there_is_no_such_score(attributed):
    assert not attributed.saes
    with pytest.raises(UsageError, match="sae_attribution with --sae"):
        attributed.scores_by("sae_attribution")


def test_the_streams_own_coordinates_leave_no_error(ground, planted, tmp_path):
    found = attribute(settings(ground, planted, sae="none", first_order=True), tmp_path / "out")
    for one in of_layers(found.target).values():
        assert one.error == pytest.approx(0, abs=1e-5)


def test_some_layers_may_have_saes_and_others_none(ground, planted, saes, tmp_path):
    few = settings(ground, planted, sae=saes, first_order=True, layers="1-2")
    found = attribute(few, tmp_path / "out")
    assert [layer for layer, one in of_layers(found.target).items() if one] == [1, 2]
    assert list(found.scores_by("sae_attribution")) == [1, 2]


class Killed(BaseException):
    pass


def test_killed_between_two_chunks_it_goes_on_and_writes_the_same_bytes(
    ground, planted, saes, followed, tmp_path, monkeypatch
):
    kept = feature_chunks.FeatureChunks._keep

    def one_text(self, chunk):
        if chunk.text == 1:
            raise Killed
        kept(self, chunk)

    monkeypatch.setattr(feature_chunks.FeatureChunks, "_keep", one_text)
    asked = settings(ground, planted, sae=saes, first_order=True)
    with pytest.raises(Killed):
        attribute(asked, tmp_path / "out")
    again = []
    monkeypatch.setattr(
        feature_chunks.FeatureChunks,
        "_keep",
        lambda self, chunk: again.append(chunk.text) or kept(self, chunk),
    )
    attribute(asked, tmp_path / "out")
    assert again == [1]
    for name in (ATTRIBUTION_FILE, GROUPS_FILE, ATTRIBUTION_PAGE):
        assert (tmp_path / "out" / name).read_bytes() == (followed[0] / name).read_bytes()


def test_smaller_chunks_say_the_same(ground, planted, saes, followed, tmp_path, monkeypatch):
    monkeypatch.setattr(streams, "HELD", 1)
    found = attribute(settings(ground, planted, sae=saes, first_order=True), tmp_path / "out")
    for text, other in zip(found.texts, followed[1].texts, strict=True):
        for layer, one in of_layers(text).items():
            assert one.features == pytest.approx(of_layers(other)[layer].features)
            assert one.effect == pytest.approx(of_layers(other)[layer].effect)


def test_other_saes_than_those_of_an_interrupted_run_are_told_of(ground, planted, tmp_path, monkeypatch):
    folder = tmp_path / "saes"
    for layer in range(N_LAYERS):
        hosts.save_raw(folder / f"layer_{layer}", layer, d_in=D_MODEL)
    # With so little memory no SAE stays in it from one chunk to the next.
    asked = settings(ground, planted, sae=str(folder), first_order=True, memory="1K")
    kept = feature_chunks.FeatureChunks._keep

    def change(self, chunk):
        if chunk.text == 1:
            (folder / "layer_0" / "params.safetensors").write_bytes(
                (folder / "layer_1" / "params.safetensors").read_bytes()
            )
        kept(self, chunk)

    monkeypatch.setattr(feature_chunks.FeatureChunks, "_keep", change)
    with pytest.raises(ArtifactError, match="was made with other SAEs"):
        attribute(asked, tmp_path / "out")


def test_what_cannot_be_used_is_told_before_anything_is_loaded(ground, planted, tmp_path):
    with pytest.raises(UsageError, match="expected --sae as well"):
        attribute(settings(ground, planted, sae_id="layer_{layer}"), tmp_path / "out")
    hosts.save_raw(tmp_path / "wide/layer_0", 0, d_in=D_MODEL + 1)
    with pytest.raises(RefusedSaeError, match="width 17"):
        attribute(settings(ground, planted, sae=str(tmp_path / "wide")), tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["wide"]


def test_on_a_gpu_saes_stay_in_a_quarter_of_what_is_free_there_asked_once(
    ground, planted, saes, tmp_path, monkeypatch
):
    gpu, asked = torch.device("cuda", 0), []
    (one, *_) = addresses = find_saes(saes, None, tuple(range(N_LAYERS)))
    size = load_sae(one, D_MODEL, torch.float32, torch.device("cpu")).encoder_bytes

    def free(device):
        asked.append(device)
        return 4 * 2 * size

    def load(address, width, dtype, device):
        assert device == gpu
        return load_sae(address, width, dtype, torch.device("cpu"))

    def kept(spare):
        """Which layers' SAEs are loaded but once."""
        chunks = feature_chunks.FeatureChunks(
            edited, [], addresses, Progress(tmp_path / "x", {}, "attribution"), ALONE,
            recompute=False, spare=spare,
        )  # fmt: skip
        return [layer for layer in chunks.layers if chunks._sae(layer) is chunks._sae(layer)]

    with open_edited(ground.base, [planted], beside=tmp_path / "x", device="cpu") as edited:
        assert kept(spare=100 * size) == list(range(N_LAYERS))  # the processor's memory has room for all
        monkeypatch.setattr(feature_chunks, "load_sae", load)
        monkeypatch.setattr(feature_chunks, "free_memory", free)
        monkeypatch.setattr(feature_chunks.FeatureChunks, "_device", lambda self, layer: gpu)
        assert kept(spare=100 * size) == [0, 1]
        assert asked == [gpu]
        assert kept(spare=size) == [0]
