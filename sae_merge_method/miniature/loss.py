"""What an edit costs elsewhere: next-token loss on general text no model was trained on."""

import json
from pathlib import Path

from sae_merge_method.miniature.documents import Document
from sae_merge_method.miniature.model import load_model, load_tokenizer
from sae_merge_method.miniature.training import batches, next_token_loss, tokenize


def general_loss(model_folder: Path, corpus: Path) -> float:
    """Mean next-token cross-entropy in nats over every token of a JSONL corpus (``text`` field)."""
    import torch

    torch.set_num_threads(1)
    lines = corpus.read_text(encoding="utf-8").splitlines()
    examples = tokenize(
        load_tokenizer(model_folder), [Document("", json.loads(line)["text"]) for line in lines]
    )
    model = load_model(model_folder)
    total = count = 0.0
    with torch.no_grad():
        for batch in batches(examples, 50, seed=0):
            tokens = sum(len(example.ids) - 1 for example in batch)
            total += tokens * float(next_token_loss(model, batch))
            count += tokens
    return total / count
