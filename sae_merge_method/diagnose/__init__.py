"""The first stage: listen to a base model through SAEs, and score how specific each layer is."""
