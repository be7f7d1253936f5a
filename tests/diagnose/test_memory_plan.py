from dataclasses import dataclass

from sae_merge_method.diagnose.memory_plan import Plan, Work, make_plan

GIB = 1 << 30


@dataclass(frozen=True)
class Gemma:
    """Gemma 3 4B with 16k features on each of 34 layers, in bfloat16: 80 MiB an encoder."""

    layers: int = 34

    def plan(self, memory: int) -> Plan:
        work = Work(
            layers=range(self.layers),
            encoder_bytes=2560 * 16384 * 2,
            d_model=2560,
            d_sae=16384,
            batch_tokens=2048,
            tokens=512_000,
            model_parameters=3_200_000_000,
        )
        return make_plan(work, memory, speed=1e12)


def test_with_memory_enough_there_is_one_sweep_over_all_layers() -> None:
    plan = Gemma().plan(8 * GIB)
    assert plan.groups == (tuple(range(34)),)
    assert "34 layers over 512,000 tokens in one sweep: about 3.2 GiB beside the model" in str(plan)


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
