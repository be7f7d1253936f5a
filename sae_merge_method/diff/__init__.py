"""Two checkpoints held against each other, tensor by tensor."""
