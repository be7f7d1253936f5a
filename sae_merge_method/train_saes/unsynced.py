"""SAELens' BatchTopK class with nothing in a step that waits for the device.

SAELens asks the device twice in every step: how many features are dead, and whether any has fired. On a GPU
each question waits until all work queued before it is done, for every SAE of every batch. The same numbers
come of both; importing SAELens takes many seconds, so whoever needs this module imports it then.
"""

import torch
from sae_lens import BatchTopKTrainingSAE
from sae_lens.saes.batchtopk_sae import BatchTopK
from sae_lens.saes.topk_sae import act_times_W_dec, calculate_topk_aux_acts
from typing_extensions import override


class UnsyncedSae(BatchTopKTrainingSAE):  # type: ignore[misc]  # SAELens ships no types
    """Bussmann et al. (arXiv 2412.06410): of a batch the strongest activations stay, k a token on average.

    Saved as a JumpReLU SAE, whose threshold is the running mean of the least activation that stayed.
    """

    topk_threshold: torch.Tensor

    @override
    def get_activation_fn(self) -> torch.nn.Module:
        return _BatchTopK(self.cfg.k)

    @override
    @torch.no_grad()
    def update_topk_threshold(self, acts_topk: torch.Tensor) -> None:
        rate = self.cfg.topk_threshold_lr
        least = torch.where(acts_topk > 0, acts_topk, torch.inf).amin().to(self.topk_threshold.dtype)
        moved = (1 - rate) * self.topk_threshold + rate * least
        # Where nothing fired there is no least one.
        self.topk_threshold = torch.where(least.isfinite(), moved, self.topk_threshold)

    @override
    def calculate_topk_aux_loss(
        self,
        sae_in: torch.Tensor,
        sae_out: torch.Tensor,
        hidden_pre: torch.Tensor,
        dead_neuron_mask: torch.Tensor | None,
    ) -> torch.Tensor:
        """Dead features reconstruct what the others leave over (Gao et al., arXiv 2406.04093, A.2)."""
        if dead_neuron_mask is None:
            return sae_out.new_zeros(())
        wanted = min(sae_in.shape[-1] // 2, self.cfg.d_sae)
        # Where fewer are dead than wanted, the rest are living ones at minus infinity: they stay out.
        acts = calculate_topk_aux_acts(wanted, hidden_pre, dead_neuron_mask)
        reconstructed = act_times_W_dec(
            torch.where(acts.isinf(), 0, acts), self.W_dec, self.cfg.rescale_acts_by_decoder_norm
        )
        loss = (reconstructed - (sae_in - sae_out).detach()).pow(2).sum(dim=-1).mean()
        share = (dead_neuron_mask.sum() / (sae_in.shape[-1] // 2)).clamp(max=1)
        weighted: torch.Tensor = self.cfg.aux_loss_coefficient * share * loss
        return weighted


class _BatchTopK(BatchTopK):  # type: ignore[misc]
    """The same activations; their order, which SAELens sorts, is nobody's business."""

    @override
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        flat = x.relu().flatten()
        kept = torch.topk(flat, int(self.k * x.shape[:-1].numel()), sorted=False)
        return torch.zeros_like(flat).scatter(-1, kept.indices, kept.values).reshape(x.shape)
