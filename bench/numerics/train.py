"""Trains with PyTorch, diffusers, LyCORIS and bitsandbytes for `bench/numerics -train`: the argument is the training as JSON; prints what
sample.go's `drawn` holds, the median of the steps after the first."""

import json
import os
import re
import statistics
import sys
import time

import bitsandbytes
import torch
import torch.nn.functional as F
from diffusers import DDPMScheduler, UNet2DConditionModel
from lycoris.kohya import create_network
from transformers import CLIPTextConfig, CLIPTextModel

size = json.loads(sys.argv[1])
torch.set_num_threads(len(os.sched_getaffinity(0)))
torch.manual_seed(0)
rows, channels, side, cross = (size[k] for k in ("batch", "latent", "side", "cross"))
unet = UNet2DConditionModel(
    in_channels=channels, out_channels=channels, block_out_channels=size["channels"], cross_attention_dim=cross,
    attention_head_dim=size["heads"], norm_num_groups=size["groups"], layers_per_block=2)
text = CLIPTextModel(CLIPTextConfig(
    vocab_size=512, hidden_size=cross, intermediate_size=4 * cross, num_hidden_layers=size["text_layers"],
    num_attention_heads=size["text_heads"], max_position_embeddings=77))
unet.requires_grad_(False)
text.requires_grad_(False)
network = create_network(1.0, 8, 1, None, text, unet, conv_dim=4, conv_alpha=1, algo="loha", use_tucker="True", preset="full")
network.apply_to(text, unet, True, True)
params = [p for p in network.parameters() if p.requires_grad]
optimizer = bitsandbytes.optim.AdamW8bit(params, lr=2e-4, betas=(0.9, 0.99), weight_decay=0.1)
scheduler = DDPMScheduler(num_train_timesteps=1000, beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
latents, ids = torch.randn(rows, channels, side, side), torch.randint(0, 512, (rows, 77))


def step():
    wall, cpu = time.perf_counter(), time.process_time()
    noise, t = torch.randn_like(latents), torch.randint(0, 1000, (rows,))
    predicted = unet(scheduler.add_noise(latents, noise, t), t, text(ids).last_hidden_state).sample
    loss = F.mse_loss(predicted, noise)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(params, 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    loss.item()
    return time.perf_counter() - wall, time.process_time() - cpu


first, _ = step()
steps = [step() for _ in range(size["steps"])]
wall, cpu = (statistics.median(s[i] for s in steps) for i in range(2))
with open("/proc/self/status") as status:
    peak = int(re.search(r"VmHWM:\s*(\d+)", status.read()).group(1))
print(json.dumps({"wall": wall, "cpu": cpu, "first": first - wall, "peak": peak}))
