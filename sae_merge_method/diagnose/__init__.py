"""The first stage: encode text with a base model's SAEs, and score how specific each layer is."""
