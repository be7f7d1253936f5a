"""How fast `sae-merge train-saes` trains, against a plain loop and SAELens' own trainer.

One run, one process, the same activations, the same size of SAE, the same number of steps. Ratios are of
processor time, which other work on the machine disturbs less than the clock:

- ``plain``: a loop of a dozen lines: encoder, the strongest activations, decoder, squared error, Adam;
  nothing about dead features, norms, outliers or thresholds;
- ``ours``: what `sae-merge train-saes` does for one SAE in a step, from the buffer on;
- ``saelens``: SAELens' `SAETrainer` with its BatchTopK class, the same numbers.

Run: python benchmarks/train_saes.py [--d-model 576 --width 1024 --k 32 --steps 12 --threads 1]
"""

import argparse
import io
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr

import torch

STEP_TOKENS = 1024


def plain(activations: torch.Tensor, options: argparse.Namespace) -> Callable[[], None]:
    """The loop anybody would write first."""
    d, width = options.d_model, options.width
    chance = torch.Generator().manual_seed(0)
    encoder = torch.nn.Parameter(torch.randn(d, width, generator=chance) / d**0.5)
    decoder = torch.nn.Parameter(encoder.detach().T.clone())
    encoder_bias, decoder_bias = (torch.nn.Parameter(torch.zeros(n)) for n in (width, d))
    optimizer = torch.optim.Adam([encoder, decoder, encoder_bias, decoder_bias], lr=1e-3, fused=True)

    def work() -> None:
        for batch in batches(activations, options.steps):
            inputs = ((batch - decoder_bias) @ encoder + encoder_bias).relu()
            strongest = inputs.flatten().topk(options.k * len(batch), sorted=False)
            features = torch.zeros_like(inputs.flatten()).scatter(0, strongest.indices, strongest.values)
            rebuilt = features.view_as(inputs) @ decoder + decoder_bias
            (rebuilt - batch).pow(2).sum(dim=1).mean().backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            optimizer.zero_grad()

    return work


def ours(activations: torch.Tensor, options: argparse.Namespace) -> Callable[[], None]:
    """A learner of ours."""
    from sae_merge_method.train_saes.learner import Learner, Schedule, take_ground

    schedule = Schedule(options.d_model, options.width, options.k, 10 * options.steps, 1e-3, 1000)
    learner = Learner(schedule, {}, 0, take_ground(activations), torch.device("cpu"))

    def work() -> None:
        for batch in batches(activations, options.steps):
            learner.step(batch)

    return work


def saelens(activations: torch.Tensor, options: argparse.Namespace) -> Callable[[], None]:
    """SAELens' own trainer, its progress bar unseen."""
    from sae_lens import BatchTopKTrainingSAE, BatchTopKTrainingSAEConfig, LoggingConfig
    from sae_lens.config import SAETrainerConfig
    from sae_lens.training.sae_trainer import SAETrainer

    config = BatchTopKTrainingSAEConfig(d_in=options.d_model, d_sae=options.width, k=options.k)
    trainer_config = SAETrainerConfig(
        total_training_samples=options.steps * STEP_TOKENS,
        train_batch_size_samples=STEP_TOKENS,
        lr=1e-3,
        lr_end=1e-4,
        logger=LoggingConfig(log_to_wandb=False),
    )

    def work() -> None:
        provider = batches(activations, options.steps)
        trainer = SAETrainer(cfg=trainer_config, sae=BatchTopKTrainingSAE(config), data_provider=provider)
        with redirect_stderr(io.StringIO()):
            trainer.fit()

    return work


def batches(activations: torch.Tensor, steps: int) -> Iterator[torch.Tensor]:
    """Runs of the buffer, again and again."""
    for step in range(steps):
        first = step * STEP_TOKENS % (len(activations) - STEP_TOKENS + 1)
        yield activations[first : first + STEP_TOKENS]


def busy(work: Callable[[], None]) -> float:
    """Processor seconds, least of two."""
    taken = []
    for _ in range(2):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return min(taken)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("d-model", 576), ("width", 1024), ("k", 32), ("steps", 12), ("threads", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    chance = torch.Generator().manual_seed(1)
    activations = torch.randn(4 * STEP_TOKENS, options.d_model, generator=chance)
    took = {way.__name__: busy(way(activations, options)) for way in (plain, ours, saelens)}
    size = f"d {options.d_model}, {options.width} features, k {options.k}, {STEP_TOKENS} tokens a step"
    print(f"{size}, {options.threads} threads; processor time a step, and its ratio to a plain loop")
    for name, seconds in took.items():
        print(f"{name:8} {1000 * seconds / options.steps:8.1f} ms {seconds / took['plain']:6.2f}")


if __name__ == "__main__":
    main()
