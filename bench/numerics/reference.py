"""Times steps of a UNet in PyTorch and diffusers for `bench/numerics`: arguments are the size as JSON and the mode."""

import json
import os
import sys
import time

import torch
from diffusers import UNet2DConditionModel

size, mode = json.loads(sys.argv[1]), sys.argv[2]
torch.set_num_threads(len(os.sched_getaffinity(0)))
torch.manual_seed(0)
latents = (size["batch"], size["latent"], size["side"], size["side"])
unet = UNet2DConditionModel(
    in_channels=latents[1], out_channels=latents[1], block_out_channels=size["channels"], cross_attention_dim=size["cross"],
    attention_head_dim=size["heads"], norm_num_groups=size["groups"], layers_per_block=2)
for name, p in unet.named_parameters():
    p.requires_grad_(mode == "all" or (mode == "attention" and ".attn" in name and name.endswith(".weight")))
trained = [p for p in unet.parameters() if p.requires_grad]
x, context, target = torch.randn(latents), torch.randn(latents[0], 77, size["cross"]), torch.randn(latents)
t = torch.linspace(0, 900, latents[0])
best = {"wall": 1e9, "cpu": 1e9}
for _ in range(6):
    wall, cpu = time.perf_counter(), time.process_time()
    if mode == "forward":
        with torch.no_grad():
            unet(x, t, context).sample
    else:
        ((unet(x, t, context).sample - target) ** 2).mean().backward()
        with torch.no_grad():
            for p in trained:
                p.sub_(p.grad, alpha=1e-4)
                p.grad = None
    best = {"wall": min(best["wall"], time.perf_counter() - wall), "cpu": min(best["cpu"], time.process_time() - cpu)}
print(json.dumps(best))
