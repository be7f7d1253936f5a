from dataclasses import dataclass

import pytest

from sae_merge_method.diagnose.costs import Costs
from sae_merge_method.diagnose.memory_plan import ANY_RUN, Plan, Work, make_plan

GIB = 1 << 30


@dataclass(frozen=True)
class Gemma:
    """Gemma 3 4B with 16k features on each of 34 layers, in bfloat16: 80 MiB an encoder."""

    layers: int = 34
    cores: int = 1

    def plan(self, memory: int) -> Plan:
        work = Work(
            layers=range(self.layers),
            encoder_bytes=2560 * 16384 * 2,
            d_model=2560,
            d_sae=16384,
            batch_tokens=2048,
            d_mlp=10240,
            tokens=512_000,
            read_tokens=530_000,
            documents=1000,
            cores=self.cores,
        )
        costs = Costs(load=2, forward=0.001, encode=0.0001, score=0.001, libraries=GIB // 4)
        return make_plan(work, memory, costs)


def test_with_memory_enough_there_is_one_sweep_over_all_layers() -> None:
    plan = Gemma().plan(8 * GIB)
    assert plan.groups == (tuple(range(34)),)
    assert "34 layers over 512,000 tokens in one sweep: about 3.8 GiB beside the model" in str(plan)


def test_the_estimate_counts_loading_reading_encoding_and_scoring() -> None:
    plan = Gemma().plan(8 * GIB)
    assert plan.encoding_seconds == pytest.approx(34 * 2 + 530_000 * 0.001 + 34 * 512_000 * 0.0001)
    assert plan.scoring_seconds == pytest.approx(34 * 16384 * 0.001)
    assert plan.seconds == plan.encoding_seconds + plan.scoring_seconds
    assert "about 48 min (encoding 39 min, scoring 9 min)" in str(plan)


def test_memory_is_that_of_the_larger_of_two_stages_beside_what_was_imported() -> None:
    plan = Gemma().plan(8 * GIB)
    assert plan.bytes == plan.encoder_bytes + plan.batch_bytes + GIB // 4 + ANY_RUN
    at_once = Gemma(cores=16).plan(GIB)
    assert at_once.scoring_bytes > at_once.encoder_bytes + at_once.batch_bytes
    assert at_once.bytes == at_once.scoring_bytes + GIB // 4 + ANY_RUN


def test_a_layer_is_scored_on_each_core_in_that_much_more_memory_and_less_time() -> None:
    one, two = (Gemma(cores=cores).plan(8 * GIB) for cores in (1, 2))
    assert two.scoring_bytes == 2 * one.scoring_bytes
    assert two.scoring_seconds == one.scoring_seconds / 2


def test_six_gib_suffice_for_34_layers_of_16k_features() -> None:
    plan = Gemma().plan(6 * GIB)
    assert len(plan.groups) == 1
    assert plan.encoder_bytes + plan.batch_bytes < 6 * GIB


def test_with_less_memory_there_are_more_sweeps_that_fit_and_every_layer_is_in_one() -> None:
    for memory in (1 * GIB, 2 * GIB, 3 * GIB):
        plan = Gemma().plan(memory)
        assert [layer for group in plan.groups for layer in group] == list(range(34))
        assert plan.encoder_bytes + plan.batch_bytes <= memory
    assert len(Gemma().plan(1 * GIB).groups) > len(Gemma().plan(2 * GIB).groups) > 1
    assert Gemma().plan(1 * GIB).seconds > Gemma().plan(8 * GIB).seconds


def test_one_encoder_is_always_in_memory() -> None:
    assert len(Gemma(layers=5).plan(0).groups) == 5
