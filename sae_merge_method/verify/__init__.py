"""Proofs about a merged checkpoint: held, tensor by tensor, against the recipe it says it was made by."""
