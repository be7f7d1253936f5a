"""How SAEs are judged: a perfect one costs nothing, none costs what zeros cost, and layers passed by change nothing."""

import logging
from pathlib import Path

import numpy as np
import pytest
import torch

from sae_merge_method.corpora.batches import make_batches
from sae_merge_method.corpora.tokens import Document
from sae_merge_method.in_memory.losses import nats
from sae_merge_method.loaded.passes import hooked
from sae_merge_method.loaded.sites import Site
from sae_merge_method.loaded.text_model import TextModel, load_text_model
from sae_merge_method.train_saes.learner import Ground
from sae_merge_method.train_saes.quality import SaeToJudge, judge
from tests.diagnose import hosts
from tests.layouts.test_twelve_families import COMMON, FAMILIES
from tests.loaded.test_residual_stream import BUILDERS

DOCUMENTS = [
    Document(np.array([2, *range(6, 6 + n)]), np.arange(n + 1) > 0, nth) for nth, n in enumerate((9, 14, 5))
]


class Linear:
    """Features that are the activations times a number, which are split by sign so that none is negative."""

    def __init__(self, times: float) -> None:
        self.times = times

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x, -x], dim=1).relu()

    def decode(self, features: torch.Tensor) -> torch.Tensor:
        positive, negative = features.chunk(2, dim=1)
        return self.times * (positive - negative)


def ground(bound: float = torch.inf, d: int = 32) -> Ground:
    return Ground(torch.zeros(d), torch.tensor(1.0), torch.tensor(bound))


@pytest.fixture(scope="module", params=["gemma3", "llama", "gpt2"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> TextModel:
    folder = BUILDERS[request.param](tmp_path_factory.mktemp("judged") / "model")
    return load_text_model(str(folder), "float32", with_head=True)


def by_hand(model: TextModel, site: Site, times: float) -> float:
    """The loss in whole forward passes, with the activations of counted tokens times a number."""
    total = 0.0
    for batch in make_batches(DOCUMENTS, 64):
        counted = torch.from_numpy(batch.counted)[..., None]
        with (
            torch.no_grad(),
            hooked(model, {site: lambda x, counted=counted: torch.where(counted, times * x, x)}),
        ):
            total += float(nats(model, batch).sum())
    return total / 28


@pytest.mark.parametrize("hook", ["resid_post", "attn_out", "mlp_out"])
def test_losses_are_those_of_whole_passes_with_the_activations_replaced(
    model: TextModel, hook: str, tmp_path: Path
) -> None:
    sites = [Site(layer, hook) for layer in (0, 2)]
    judged = judge(
        model, {site: SaeToJudge(Linear(0.7), ground()) for site in sites}, DOCUMENTS, 64, 1000, tmp_path
    )
    for site in sites:
        loss = judged[site].loss
        assert loss.tokens == 28
        assert loss.base == pytest.approx(by_hand(model, site, 1.0), abs=1e-5)
        assert loss.spliced == pytest.approx(by_hand(model, site, 0.7), abs=1e-5)
        assert loss.ablated == pytest.approx(by_hand(model, site, 0.0), abs=1e-5)
        assert judged[site].explained_variance == pytest.approx(1 - 0.3**2, abs=1e-4)
        assert judged[site].explained_median == pytest.approx(1 - 0.3**2, abs=1e-4)
    assert not any("forward" in block.__dict__ for block in model.blocks)


def test_the_first_block_computes_as_much_for_one_sae_as_for_several_in_any_order(
    gemma3: Path, tmp_path: Path
) -> None:
    model = load_text_model(str(gemma3), "float32", with_head=True)
    computed: list[object] = []
    model.blocks[0].mlp.register_forward_hook(lambda *_: computed.append(0))

    def computed_for(*layers: int) -> int:
        computed.clear()
        judge(
            model,
            {Site(layer): SaeToJudge(Linear(0.7), ground()) for layer in layers},
            DOCUMENTS,
            64,
            1000,
            tmp_path,
        )
        return len(computed)

    assert computed_for(3) == computed_for(1, 2, 3) == computed_for(3, 1)


def gemma4_that_shares(folder: Path) -> TextModel:
    """A tiny Gemma 4 whose last two blocks take keys and values of the second, as E2B's and E4B's last ones do."""
    from transformers import AutoConfig, AutoModelForCausalLM

    sizes = {**COMMON, **FAMILIES["gemma4_text"], "num_kv_shared_layers": 2}
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(AutoConfig.for_model("gemma4_text", **sizes)).save_pretrained(folder)
    hosts.save_tokenizer(folder)
    return load_text_model(str(folder), "float32", with_head=True)


def test_a_model_whose_later_blocks_take_keys_of_earlier_ones_is_judged_in_whole_passes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "sae_merge_method")
    model = gemma4_that_shares(tmp_path / "model")
    sites = [Site(layer) for layer in range(4)]
    judged = judge(
        model, {site: SaeToJudge(Linear(0.7), ground(d=16)) for site in sites}, DOCUMENTS, 64, 1000, tmp_path
    )
    for site in sites:
        assert judged[site].loss.spliced == pytest.approx(by_hand(model, site, 0.7), abs=1e-5)
        assert judged[site].loss.ablated == pytest.approx(by_hand(model, site, 0.0), abs=1e-5)
    told = [message for message in caplog.messages if "passes cannot begin at layer" in message]
    assert [message[:30] for message in told] == [f"passes cannot begin at layer {n}" for n in (2, 3)]
    assert not any("forward" in block.__dict__ for block in model.blocks)


def test_where_beginning_at_a_layer_gives_other_losses_passes_are_whole(gemma3: Path, tmp_path: Path) -> None:
    model = load_text_model(str(gemma3), "float32", with_head=True)
    left: dict[str, torch.Tensor] = {}
    own = model.blocks[2].mlp.forward
    model.blocks[0].mlp.register_forward_hook(lambda _module, _inputs, output: left.update(behind=output))
    model.blocks[2].mlp.forward = lambda states: own(states) + left.pop("behind", 0)
    loss = judge(model, {Site(2): SaeToJudge(Linear(0.7), ground())}, DOCUMENTS, 64, 1000, tmp_path)[
        Site(2)
    ].loss
    assert loss.spliced == pytest.approx(by_hand(model, Site(2), 0.7), abs=1e-5)


def test_a_perfect_sae_costs_nothing_and_none_gives_nothing_back(gemma3: Path, tmp_path: Path) -> None:
    model = load_text_model(str(gemma3), "float32", with_head=True)
    perfect, nothing = (
        judge(model, {Site(1): SaeToJudge(Linear(times), ground())}, DOCUMENTS, 64, 9, tmp_path)[Site(1)]
        for times in (1.0, 0.0)
    )
    assert perfect.loss.tokens == 9  # the first document has enough
    assert perfect.loss.spliced == pytest.approx(perfect.loss.base, abs=1e-5)
    assert nothing.loss.spliced == pytest.approx(nothing.loss.ablated, abs=1e-6)
    assert (perfect.explained_variance, nothing.explained_variance) == pytest.approx((1.0, 0.0), abs=1e-5)
    assert (perfect.l0, perfect.tokens, nothing.outliers) == (32, 28, 0)
    assert 0 < perfect.silent < 32  # of a coordinate's two signs one may never come


def test_outliers_are_told_and_rule_neither_variance_nor_loss(gemma3: Path, tmp_path: Path) -> None:
    model = load_text_model(str(gemma3), "float32", with_head=True)
    judged = judge(
        model, {Site(1): SaeToJudge(Linear(0.0), ground(bound=0.0))}, DOCUMENTS, 64, 1000, tmp_path
    )[Site(1)]
    assert judged.outliers == 1
    assert judged.loss.spliced == judged.loss.ablated == pytest.approx(judged.loss.base, abs=1e-6)
    assert judged.loss.recovered is None
    assert judged.l0 == 0
