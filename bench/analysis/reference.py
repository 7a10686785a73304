"""The reference side of bench/analysis: what each task takes with PyTorch, written as LyCORIS, sd-scripts and the web UI do it.

spectra: every module's difference of a LoHa, and its singular values. extract: a full decomposition of every layer's difference, cut to
rank 64 (sd-scripts' extract_lora_from_models and LyCORIS's extract_locon both do this). merge: both state dicts in memory, (1-M)*A + M*B
tensor by tensor (the web UI's run_modelmerger). make: tuned.safetensors, the source plus a falling spectrum in every matrix.
"""
import json
import math
import pathlib
import resource
import sys
import time

import torch
from safetensors.torch import load_file, save_file

RANK = 64
torch.set_num_threads(2)


def make(folder):
    """A fine-tuning's difference: singular values that fall as 1/k to a few percent of the weight, below them fp16's rounding."""
    generator = torch.Generator().manual_seed(1)
    out = {}
    for name, weight in load_file(folder / "source.safetensors").items():
        if weight.dim() >= 2 and "first_stage_model" not in name and "embedding" not in name:
            flat = weight.float().flatten(1)
            n = min(128, *flat.shape)
            u = torch.randn(flat.shape[0], n, generator=generator) / math.sqrt(flat.shape[0])
            v = torch.randn(n, flat.shape[1], generator=generator) / math.sqrt(flat.shape[1])
            size = 0.03 * flat.norm() / torch.arange(1, n + 1)
            weight = (flat + (u * size) @ v).reshape(weight.shape).half()
        out[name] = weight
    save_file(out, folder / "tuned.safetensors")


def names(folder, task):
    return json.loads((folder / "layers.json").read_text())[task][::EVERY]


def spectra(folder):
    tensors = load_file(folder / "loha.safetensors")
    total = 0.0
    for name in names(folder, "Spectra"):
        t = {key.split(".", 1)[1]: value.float() for key, value in tensors.items() if key.startswith(name + ".")}
        scale = t["alpha"].item() / t["hada_w1_b"].shape[0]
        if "hada_t1" in t:
            first = torch.einsum("ijkl,ip,jq->pqkl", t["hada_t1"], t["hada_w1_a"], t["hada_w1_b"])
            second = torch.einsum("ijkl,ip,jq->pqkl", t["hada_t2"], t["hada_w2_a"], t["hada_w2_b"])
        else:
            first, second = t["hada_w1_a"] @ t["hada_w1_b"], t["hada_w2_a"] @ t["hada_w2_b"]
        values = torch.linalg.svdvals((scale * first * second).flatten(1))
        share = values / values.sum()
        total += torch.exp(-(share * torch.log(share.clamp_min(1e-30))).sum()).item()
    return total


def extract(folder):
    source, tuned = load_file(folder / "source.safetensors"), load_file(folder / "tuned.safetensors")
    out, misses = {}, []
    for name in names(folder, "Extract"):
        weight = source[name]
        difference = (tuned[name].float() - weight.float()).flatten(1)
        u, s, vh = torch.linalg.svd(difference, full_matrices=False)
        rank = min(RANK, len(s), weight.shape[1])
        up, down = u[:, :rank] * s[:rank], vh[:rank]
        misses.append((s[rank:].square().sum() / s.square().sum()).item())
        key = "lora_" + name.removesuffix(".weight").replace(".", "_")
        out[key + ".lora_up.weight"] = up.half().contiguous()
        out[key + ".lora_down.weight"] = down.half().contiguous()
        out[key + ".alpha"] = torch.tensor(float(rank)).half()
    save_file(out, folder / "extracted-reference.safetensors")
    return math.sqrt(sum(misses) / len(misses))


def merge(folder):
    a, b = load_file(folder / "source.safetensors"), load_file(folder / "tuned.safetensors")
    m = 0.3
    for key in list(a):
        if "model" in key and key in b and not key.endswith("position_ids"):
            a[key] = ((1 - m) * a[key] + m * b[key]).half()
    save_file(a, folder / "merged-reference.safetensors", metadata={"format": "pt"})
    return a["model.diffusion_model.middle_block.1.proj_in.weight"].float().abs().sum(dtype=torch.float64).item()


task, folder, EVERY = sys.argv[1], pathlib.Path(sys.argv[2]), int(sys.argv[3])
start = time.monotonic()
with torch.no_grad():
    check = {"make": make, "spectra": spectra, "extract": extract, "merge": merge}[task](folder)
wall = time.monotonic() - start
usage = resource.getrusage(resource.RUSAGE_SELF)
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(json.dumps({"wall": wall, "cpu": usage.ru_utime + usage.ru_stime, "peak": int(status["VmHWM"].split()[0]),
                  "anon": int(status["RssAnon"].split()[0]), "check": check or 0}))
