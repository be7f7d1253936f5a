"""Training an SAE on every block's output, from one forward pass."""
