"""Records what LyCORIS 3.2.0.post2 computes, for adapter's conformance tests.

Run in the reference environment; it writes lycoris.safetensors beside itself.

For every case (a kind with its options) and every layer (linear, conv1, conv3) the file holds the base weight, the parameters, the
weight that the module's forward pass hands to the layer's operation, the gradients of the sum of that weight times
sin(0), sin(1), sin(2), ... with respect to the parameters, and of the cases of SCALARS what a file holds ("saved") and what the bypass mode makes
of unit vectors. The forward pass is the judge: get_diff_weight of this version scales LoHa
twice.
"""

import pathlib

import torch
from lycoris.functional import factorization
from lycoris.modules.full import FullModule
from lycoris.modules.ia3 import IA3Module
from lycoris.modules.locon import LoConModule
from lycoris.modules.loha import LohaModule
from lycoris.modules.lokr import LokrModule
from lycoris.modules.norms import NormModule
from safetensors.torch import save_file

MULTIPLIER = 0.7

LAYERS = {
    "linear": lambda: torch.nn.Linear(8, 12),
    "conv1": lambda: torch.nn.Conv2d(10, 6, 1),
    "conv3": lambda: torch.nn.Conv2d(6, 8, 3, padding=1),
}

CASES = {
    "loha": (LohaModule, dict(lora_dim=3, alpha=1)),
    "loha tucker": (LohaModule, dict(lora_dim=3, alpha=1, use_tucker=True)),
    "loha 0.1.2": (LohaModule, dict(lora_dim=3, alpha=1, use_tucker=True)),
    "loha rs": (LohaModule, dict(lora_dim=3, alpha=1, rs_lora=True)),
    "loha dora": (LohaModule, dict(lora_dim=3, alpha=0, weight_decompose=True)),
    "locon": (LoConModule, dict(lora_dim=3, alpha=2)),
    "locon tucker": (LoConModule, dict(lora_dim=3, alpha=1, use_tucker=True)),
    "locon dora": (LoConModule, dict(lora_dim=3, alpha=1, weight_decompose=True, wd_on_out=False)),
    "lokr": (LokrModule, dict(lora_dim=1, alpha=2)),
    "lokr tucker": (LokrModule, dict(lora_dim=1, alpha=2, use_tucker=True)),
    "lokr both": (LokrModule, dict(lora_dim=1, alpha=2, decompose_both=True, factor=3)),
    "lokr full": (LokrModule, dict(lora_dim=1, alpha=4, full_matrix=True)),
    "ia3": (IA3Module, dict()),
    "ia3 input": (IA3Module, dict(train_on_input=True)),
    "full": (FullModule, dict()),
}

SCALARS = {
    "loha scalar": (LohaModule, dict(lora_dim=3, alpha=1, use_scalar=True)),
    "loha tucker scalar": (LohaModule, dict(lora_dim=3, alpha=1, use_tucker=True, use_scalar=True)),
    "locon scalar": (LoConModule, dict(lora_dim=3, alpha=2, use_scalar=True)),
    "lokr scalar": (LokrModule, dict(lora_dim=1, alpha=2, use_scalar=True)),
    "lokr both scalar": (LokrModule, dict(lora_dim=1, alpha=2, decompose_both=True, factor=3, use_scalar=True)),
    "lokr unbalanced": (LokrModule, dict(lora_dim=1, alpha=2, unbalanced_factorization=True)),
}


def weave(w):
    return (w * torch.arange(w.numel(), dtype=torch.float32).reshape(w.shape).sin()).sum()


def record(out, name, module, rename=lambda s: s):
    """Scrambles the module's parameters, runs it, and stores everything under name."""
    seen = {}

    def capture(x, *args, **kwargs):
        names = ["weight", "bias"]
        seen.update(zip(names, args))
        seen.update({k: v for k, v in kwargs.items() if k in names})
        return x

    module.op = capture
    module.train()
    for p in module.parameters():
        p.requires_grad_(True)
        with torch.no_grad():
            p += 0.3 * torch.randn_like(p)
    module(torch.zeros(1))
    loss = weave(seen["weight"])
    bias_trained = isinstance(module, (FullModule, NormModule))
    if bias_trained:
        loss = loss + weave(seen["bias"])
        out[f"{name}.result_bias"] = seen["bias"]
    loss.backward()
    out[f"{name}.result"] = seen["weight"]
    for key, p in module.named_parameters():
        out[f"{name}.param.{rename(key)}"] = p.reshape(-1) if key == "scalar" else p
        out[f"{name}.grad.{rename(key)}"] = p.grad.reshape(-1) if key == "scalar" else p.grad
    if hasattr(module, "alpha"):
        out[f"{name}.alpha"] = module.alpha.float()


def main(path):
    torch.manual_seed(20230325)
    out = {}
    for case, (cls, options) in CASES.items():
        for layer, make in LAYERS.items():
            base = make()
            name = f"{case}/{layer}"
            module = cls("", base, multiplier=MULTIPLIER, **options)
            if hasattr(module, "dora_scale"):  # the reference turns it back into a plain tensor
                module.dora_scale = torch.nn.Parameter(module.dora_scale.detach())
            if cls is FullModule:  # which this version keeps in a list and then adds to
                module.org_bias = module.org_bias[0]
            shared = case == "loha 0.1.2" and layer == "conv3"
            if shared:  # as from 2023-03-12 to 2023-10-13: one core serves both products
                module.hada_t2 = module.hada_t1
            rename = (lambda s: {"weight": "diff", "bias": "diff_b"}[s]) if cls is FullModule else (lambda s: s)
            record(out, name, module, rename)
            if shared:
                out[f"{name}.param.hada_t2"] = torch.randn_like(module.hada_t1)
                out[f"{name}.grad.hada_t2"] = torch.zeros_like(module.hada_t1)
            out[f"{name}.base"] = base.weight
            out[f"{name}.base_bias"] = base.bias
    for layer, base in {"layernorm": torch.nn.LayerNorm(8), "groupnorm": torch.nn.GroupNorm(2, 8)}.items():
        with torch.no_grad():
            base.weight += torch.randn(8)
        name = f"norm/{layer}"
        record(out, name, NormModule("", base, multiplier=MULTIPLIER))
        out[f"{name}.base"] = base.weight
        out[f"{name}.base_bias"] = base.bias
    for case, (cls, options) in SCALARS.items():
        for layer, make in LAYERS.items():
            base = make()
            name = f"{case}/{layer}"
            module = cls("", base, multiplier=MULTIPLIER, **options)
            record(out, name, module)
            out[f"{name}.base"] = base.weight
            out[f"{name}.base_bias"] = base.bias
            out |= {f"{name}.saved.{key}": value for key, value in module.custom_state_dict().items()}
            if layer == "linear" and cls is not LokrModule:  # which forgets its alpha there
                module.op = torch.nn.functional.linear
                out[f"{name}.bypass"] = module.bypass_forward(torch.eye(base.in_features), MULTIPLIER) - base.bias
    pairs = [[n, f, *factorization(n, f)] for n in [*range(1, 130), 250, 320, 360, 512, 640, 768, 1024, 1280, 2560, 3072, 5120, 10240] for f in (-1, 2, 4, 8, 16)]
    out["factorization"] = torch.tensor(pairs, dtype=torch.int32)
    save_file({k: v.detach().contiguous().clone() for k, v in out.items()}, path, {"lycoris": "3.2.0.post2"})


if __name__ == "__main__":
    main(pathlib.Path(__file__).parent / "lycoris.safetensors")
