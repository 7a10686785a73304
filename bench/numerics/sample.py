"""Draws with PyTorch and diffusers for `bench/numerics -sample`: the argument is the drawing as JSON; prints what sample.go's `drawn` holds."""

import json
import os
import re
import sys
import time

import torch
from diffusers import DDIMScheduler, UNet2DConditionModel

drawing = json.loads(sys.argv[1])
torch.set_num_threads(len(os.sched_getaffinity(0)))
torch.manual_seed(0)
rows, channels, side, cross = (drawing[k] for k in ("batch", "latent", "side", "cross"))
unet = UNet2DConditionModel(
    in_channels=channels, out_channels=channels, block_out_channels=drawing["channels"], cross_attention_dim=cross,
    attention_head_dim=drawing["heads"], norm_num_groups=drawing["groups"], layers_per_block=2).eval()

if drawing["steps"]:
    from transformers import CLIPTextConfig, CLIPTextModel

    text = CLIPTextModel(CLIPTextConfig(
        vocab_size=512, hidden_size=cross, intermediate_size=4 * cross, num_hidden_layers=3, num_attention_heads=drawing["heads"])).eval()
    ids = torch.randint(0, 512, (rows, 77))
    unpatch = torch.nn.ConvTranspose2d(channels, 3, 4, 4)
    scheduler = DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False, set_alpha_to_one=False,
                              steps_offset=1)
else:
    x, t, context = torch.randn(rows, channels, side, side), torch.linspace(0, 900, rows), torch.randn(rows, 77, cross)


def image():
    context = text(ids).last_hidden_state
    x = torch.randn(1, channels, side, side)
    scheduler.set_timesteps(drawing["steps"])
    for t in scheduler.timesteps:
        negative, positive = unet(torch.cat([x, x]), t, context).sample.chunk(2)
        x = scheduler.step(negative + 7 * (positive - negative), t, x).prev_sample
    return ((unpatch(x) + 1) * 127.5).clamp(0, 255).round().byte().numpy()


def run():
    wall, cpu = time.perf_counter(), time.process_time()
    image() if drawing["steps"] else unet(x, t, context).sample
    return time.perf_counter() - wall, time.process_time() - cpu


with torch.inference_mode():
    first, _ = run()
    runs = [run() for _ in range(drawing["runs"])]
wall, cpu = min(w for w, _ in runs), min(c for _, c in runs)
with open("/proc/self/status") as status:
    peak = int(re.search(r"VmHWM:\s*(\d+)", status.read()).group(1))
print(json.dumps({"wall": wall, "cpu": cpu, "first": first - wall, "peak": peak}))
