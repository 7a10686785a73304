"""Records what LyCORIS's extraction makes of two layers in each mode into extract.json: ranks, and up @ down in a few places."""
import json
import pathlib

import torch
from lycoris.utils import extract_conv, extract_linear

torch.manual_seed(0)


def falling(rows, cols, decay):
    u, _ = torch.linalg.qr(torch.randn(rows, rows))
    v, _ = torch.linalg.qr(torch.randn(cols, cols))
    n = min(rows, cols)
    return u[:, :n] @ torch.diag(decay ** torch.arange(n).float()) @ v[:, :n].T


linear = falling(30, 20, 0.7)
conv = falling(24, 5 * 9, 0.6).reshape(24, 5, 3, 3).contiguous()
out = {"linear": {"shape": list(linear.shape), "values": linear.flatten().tolist()},
       "conv": {"shape": list(conv.shape), "values": conv.flatten().tolist()}, "runs": []}
modes = [("fixed", 1), ("fixed", 7), ("fixed", 400), ("threshold", 0.3), ("threshold", 5.0), ("ratio", 0.1), ("ratio", 0.01), ("quantile", 0.5), ("quantile", 0.9)]
for layer, weight, extract in (("linear", linear, extract_linear), ("conv", conv, extract_conv)):
    for mode, param in modes:
        result, kind = extract(weight, mode, param)
        run = {"layer": layer, "mode": mode, "param": param, "rank": 0, "product": []}
        if kind == "low rank":
            down, up, _ = result
            rank = down.shape[0]
            run["rank"] = rank
            run["product"] = (up.reshape(-1, rank) @ down.reshape(rank, -1)).flatten()[::17].tolist()
        out["runs"].append(run)
(pathlib.Path(__file__).parent / "extract.json").write_text(json.dumps(out, separators=(",", ":")) + "\n")
