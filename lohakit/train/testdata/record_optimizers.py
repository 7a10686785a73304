"""Records 200 steps of every optimizer from its reference implementation on one deterministic problem.

Run by `make fixtures`.
"""
import json
import math
import pathlib

import torch, bitsandbytes, lion_pytorch, dadaptation, prodigyopt, transformers
from dadaptation.experimental import DAdaptAdamPreprint

SHAPES = [(64, 80), (8, 5), (7,)]  # the first is large enough for 8-bit states (20 blocks of 256)
MARKS = [1, 2, 5, 10, 20, 50, 100, 150, 200]


def numbers(n, f):
    return torch.tensor([f(i) for i in range(n)], dtype=torch.float64).float()


def trace(make):
    params = [torch.nn.Parameter(numbers(math.prod(s), lambda i: math.sin(1 + i)).reshape(s)) for s in SHAPES]
    goals = [numbers(math.prod(s), lambda i: math.cos(2 * i)).reshape(s) for s in SHAPES]
    optimizer = make(params)
    out = {}
    for step in range(1, 201):
        for k, (p, goal) in enumerate(zip(params, goals)):
            push = numbers(p.numel(), lambda i: 0.3 * math.cos(0.7 * step + 0.9 * i + k)).reshape(p.shape)
            p.grad = (p.data - goal) + push
        optimizer.step()
        if step in MARKS:
            out[step] = {
                "first": [[float(v) for v in p.data.flatten()[:24]] for p in params],
                "sum": [float(p.data.double().sum()) for p in params],
                "d": optimizer.param_groups[0].get("d"),
            }
    return out


def two_rates(params):
    return torch.optim.AdamW([{"params": params[:1], "lr": 1e-2}, {"params": params[1:], "lr": 1e-3}], betas=(0.9, 0.99), weight_decay=0.1)


makers = {
    "adamw": lambda p: torch.optim.AdamW(p, lr=1e-2, betas=(0.9, 0.99), weight_decay=0.1),
    "adamw_rates": two_rates,
    "adamw8bit": lambda p: bitsandbytes.optim.AdamW8bit(p, lr=1e-2, betas=(0.9, 0.99), weight_decay=0.1),
    "lion": lambda p: lion_pytorch.Lion(p, lr=1e-3, betas=(0.9, 0.99), weight_decay=0.1),
    "sgd": lambda p: torch.optim.SGD(p, lr=1e-2, momentum=0.9, nesterov=True, weight_decay=0.01),
    "adafactor": lambda p: transformers.optimization.Adafactor(p),
    "adafactor_rate": lambda p: transformers.optimization.Adafactor(
        p, lr=1e-2, relative_step=False, scale_parameter=False, weight_decay=0.1),
    "dadapt": lambda p: dadaptation.DAdaptAdam(p, lr=1.0, weight_decay=0.1, decouple=True),
    "dadapt_coupled": lambda p: dadaptation.DAdaptAdam(p, lr=1.0, weight_decay=0.1, growth_rate=1.02, use_bias_correction=True),
    "dadapt_preprint": lambda p: DAdaptAdamPreprint(p, lr=1.0, weight_decay=0.1, decouple=True),
    "prodigy": lambda p: prodigyopt.Prodigy(p, lr=1.0, weight_decay=0.01),
    "prodigy_safe": lambda p: prodigyopt.Prodigy(p, lr=0.5, d_coef=2, use_bias_correction=True, safeguard_warmup=True, growth_rate=1.5),
}
torch.set_num_threads(1)
versions = {m.__name__: m.__version__ for m in (torch, bitsandbytes, transformers)}
with open(pathlib.Path(__file__).with_name("optimizers.json"), "w") as file:
    json.dump({"versions": versions, "traces": {name: trace(make) for name, make in makers.items()}}, file)
