"""The beginnings of a control text, alike long in tokens: all that is read where every token costs time."""

import json

from sae_merge_method.corpora.documents import read_corpus
from sae_merge_method.files.writing import write_text
from trials.folder import TrialFolder
from trials.sizes import Sizes


def write_passages(folder: TrialFolder, text: str, sizes: Sizes) -> None:
    """Write a text's passages, unless they stand: commands that run beside may be reading them.

    Args:
        folder: The trial's, with its base, whose tokens are counted.
        text: The control text.
        sizes: How long a passage is.
    """
    from transformers import AutoTokenizer

    at = folder.root / folder.passages(text)
    if at.is_file():
        return
    documents = read_corpus(str(folder.root / text)).documents
    short = [document[: sizes.passage_characters] for document in documents]
    tokenizer = AutoTokenizer.from_pretrained(folder.root / folder.base)
    ends = tokenizer(
        short,
        add_special_tokens=False,
        return_offsets_mapping=True,
        truncation=True,
        max_length=sizes.passage_tokens,
    )["offset_mapping"]
    cut = (document[: offsets[-1][1]] for document, offsets in zip(short, ends, strict=True))
    at.parent.mkdir(parents=True, exist_ok=True)
    write_text(at, "".join(json.dumps({"text": one}) + "\n" for one in dict.fromkeys(cut)))
