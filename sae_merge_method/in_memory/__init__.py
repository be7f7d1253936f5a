"""A model in memory with donors' task vectors: weights edited and restored, gradients dotted, losses."""
