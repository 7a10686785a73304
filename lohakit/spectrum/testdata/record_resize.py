"""Records what sd-scripts' resize_lora and extract_lora_from_models make of a few layers into resize.json.

sd-scripts is no package of a registry; this is its published logic step by step, run with torch. Resizing: rebuild up @ down without
alpha, decompose, choose the rank (sv_ratio: singular values above the first over the parameter; sv_cumulative and sv_fro: as many as
reach the share; all at most the new rank; rank 1 of nothing), keep alpha/rank. Until 2025 each method kept one more. Extraction: decompose the difference, cut, clamp both factors to plus and minus the 0.99 quantile of their values.
"""
import json
import pathlib

import torch

torch.manual_seed(0)


def falling(rows, cols, decay):
    u, _ = torch.linalg.qr(torch.randn(rows, rows))
    v, _ = torch.linalg.qr(torch.randn(cols, cols))
    n = min(rows, cols)
    return u[:, :n] @ torch.diag(decay ** torch.arange(n).float()) @ v[:, :n].T


def rank_of(s, method, parameter, most, more):
    if method == "sv_ratio":
        rank = int((s > s[0] / parameter).sum()) + more
    elif method == "sv_cumulative":
        rank = int(torch.searchsorted(torch.cumsum(s, 0) / s.sum(), torch.tensor(parameter))) + 1 + more
    elif method == "sv_fro":
        squares = s.square()
        rank = int(torch.searchsorted(torch.cumsum(squares, 0) / squares.sum(), torch.tensor(parameter**2))) + 1 + more
    else:
        rank = most
    return 1 if s[0] <= 1e-6 else min(rank, most, len(s))


def resized(up, down, alpha, method, parameter, most, more):
    flat = up.flatten(1) @ down.flatten(1)
    u, s, vh = torch.linalg.svd(flat, full_matrices=False)
    rank = rank_of(s, method, parameter, most, more)
    scale = alpha / down.shape[0]
    new = (u[:, :rank] * s[:rank]) @ vh[:rank] * scale
    return {"method": method, "parameter": parameter, "most": most, "more": more, "rank": rank, "alpha": scale * rank, "product": new.flatten()[::29].tolist()}


out = {"layers": [], "extractions": []}
for shape, dim, alpha, decay in (((40, 30), 14, 3.5, 0.7), ((24, 8, 3, 3), 12, 12.0, 0.8)):
    rows, cols = shape[0], torch.tensor(shape[1:]).prod().item()
    up, down = falling(rows, dim, decay), falling(dim, cols, 0.95)
    layer = {"shape": list(shape), "dim": dim, "alpha": alpha, "up": up.flatten().tolist(), "down": down.flatten().tolist(), "runs": []}
    for method, parameters in (("fixed", [1.0]), ("sv_ratio", [2.0, 10.0]), ("sv_cumulative", [0.5, 0.9]), ("sv_fro", [0.5, 0.9, 0.99])):
        for parameter in parameters:
            for most in (4, 12):
                for more in (0, 1):
                    layer["runs"].append(resized(up, down, alpha, method, parameter, most, more))
    out["layers"].append(layer)

for shape, rank in (((40, 30), 6), ((24, 5, 3, 3), 3)):
    rows, cols = shape[0], torch.tensor(shape[1:]).prod().item()
    difference = falling(rows, cols, 0.8)
    u, s, vh = torch.linalg.svd(difference, full_matrices=False)
    up, down = u[:, :rank] * s[:rank], vh[:rank]
    # a singular vector's sign is free, and the quantile is of signed values: both programs are held to the first entry of down being positive
    signs = torch.sign(down[:, 0])
    up, down = up * signs, down * signs[:, None]
    high = torch.quantile(torch.cat([up.flatten(), down.flatten()]), 0.99)
    up, down = up.clamp(-high, high), down.clamp(-high, high)
    out["extractions"].append({"shape": list(shape), "rank": rank, "difference": difference.flatten().tolist(), "values": s.tolist(), "high": high.item(),
                               "product": (up @ down).flatten()[::29].tolist()})
(pathlib.Path(__file__).parent / "resize.json").write_text(json.dumps(out, separators=(",", ":")) + "\n")
