"""Where the target's documents use each feature most, as it is noted while they are encoded."""

from pathlib import Path

import numpy as np
import torch

from sae_merge_method.diagnose.active_features import ActiveFeatures
from sae_merge_method.diagnose.chunk_store import ChunkStore
from sae_merge_method.saes.encoders import encode
from tests.diagnose import hosts
from tests.diagnose.test_usage import encoded, layout, load, whole


def test_where_the_target_s_documents_use_a_feature_most_is_kept_whatever_was_left_out() -> None:
    features = torch.randn(16, 12, generator=torch.Generator().manual_seed(4)).clamp_min(0).round(decimals=1)
    tokens, kept = [5, 0, 8, 3], np.array([True] * 4 + [False, True] * 6)
    of = layout(tokens, sides=[0, 0, 1, 0])
    of = of._replace(places=of.places + 1).only(kept)  # the first position is never counted
    rows = ActiveFeatures.of(features[kept]).summed(of.tokens).rows(of)
    entries = iter(zip(rows.indices, rows.peaks, strict=True))
    for document, start, side in ((0, 0, 0), (1, 5, 0), (2, 5, 1), (3, 13, 0)):
        own = features[start : start + tokens[document]] * torch.from_numpy(
            kept[start : start + tokens[document], None]
        )
        for _ in range(rows.lengths[document]):
            feature, peak = next(entries)
            assert peak == (int(own[:, feature].argmax()) + 1 if side == 0 else -1)
    assert next(entries, None) is None and {0, 1} < {*of.tokens.tolist(), *rows.peaks.tolist()}


def test_peaks_come_back_in_the_order_of_the_usage(tmp_path: Path) -> None:
    sae = load(hosts.save_sae(tmp_path / "sae", 2))
    residual = torch.randn(12, hosts.D_MODEL, generator=torch.Generator().manual_seed(0))
    parts = [encoded(sae, residual[:5], [2, 3]), encoded(sae, residual[5:], [7])]
    usage = whole(tmp_path, {(2, 0): parts[:1], (1,): parts[1:]}).usage
    peaks = ChunkStore(tmp_path / "out", {}).peaks("layer", [(2, 0), (1,)])
    dense = encode(sae.encoder, residual)
    for document, start, stop in ((0, 2, 5), (1, 5, 12), (2, 0, 2)):
        entries = slice(*usage.indptr[document : document + 2])
        assert (
            len(peaks[entries])
            and (
                peaks[entries] == dense[start:stop].argmax(0)[usage.indices[entries].astype(int)].numpy()
            ).all()
        )
