"""Records what torch makes of the two recipes, line by line in each type, into merge.json: bits of a few values per tensor."""
import json
import pathlib

import torch

torch.manual_seed(0)
N = 96
here = pathlib.Path(__file__).parent
models = ["nai-full-pruned", "bp_nman_e29", "nep", "Pastel-Mix", "fantasyBackground_v10PrunedFp16", "MyneFactoryBase_V1.0", "anylora_FTMSE"]
base = torch.randn(N) * torch.logspace(-6, 2, N)
start = {m: base + 0.05 * torch.randn(N) * base.abs() for m in models}
average = [(0, 1, None, 0.5), (None, 2, None, 0.333), (None, 3, None, 0.25), (None, 4, None, 0.2), (None, 5, None, 0.166), (None, 6, None, 0.142)]
difference = [(0, 1, None, 0.5)] + [(None, i, 0, 0.5) for i in range(2, 7)]


def run(recipe, tensors, half):
    last = None
    for a, b, c, m in recipe:
        x, y = (last if a is None else tensors[models[a]]), tensors[models[b]]
        last = (1 - m) * x + m * y if c is None else x + m * (y - tensors[models[c]])
        if half and last.dtype == torch.float32:
            last = last.half()
    return last


def bits(t):
    return t.view(torch.int32 if t.dtype == torch.float32 else torch.int16).tolist()


mixed = {m: t if i % 2 else t.half() for i, (m, t) in enumerate(start.items())}
kinds = {
    "F16": {m: t.half() for m, t in start.items()},
    "BF16": {m: t.bfloat16() for m, t in start.items()},
    "F32": start,
    "mixed": mixed,
}
out = {}
for kind, tensors in kinds.items():
    for half in (False, True):
        out[f"{kind}{' fp16' if half else ''}"] = {
            "models": {m: {"dtype": str(t.dtype), "bits": bits(t)} for m, t in tensors.items()},
            "average": {"dtype": str((r := run(average, tensors, half)).dtype), "bits": bits(r)},
            "add-difference": {"dtype": str((r := run(difference, tensors, half)).dtype), "bits": bits(r)},
        }
(here / "merge.json").write_text(json.dumps(out, separators=(",", ":")) + "\n")
