"""Records noised latents, targets and losses from diffusers' scheduler and training helpers. Run by `make fixtures`."""

import json
import pathlib

import torch
from diffusers import DDPMScheduler
from diffusers.training_utils import compute_snr

torch.manual_seed(3)
SHAPE = (4, 2, 2, 2)
x0, noise, predicted = (torch.randn(SHAPE).mul(100).round() / 100 for _ in range(3))
t = torch.tensor([0, 250, 700, 999])
out = {"x0": x0, "noise": noise, "predicted": predicted, "t": t}
for name, zero in (("", False), ("zero ", True)):
    s = DDPMScheduler(num_train_timesteps=1000, beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", rescale_betas_zero_snr=zero)
    out[name + "noised"] = s.add_noise(x0, noise, t)
    velocity = s.get_velocity(x0, noise, t)
    error = lambda target: (predicted - target).pow(2).mean([1, 2, 3])
    out[name + "epsilon"], out[name + "v"] = error(noise), error(velocity)
    if zero:
        continue
    snr = compute_snr(s, t)
    out["min-snr epsilon"] = error(noise) * torch.minimum(snr, torch.tensor(5.0)) / snr
    out["min-snr v"] = error(velocity) * torch.minimum(snr, torch.tensor(5.0)) / (snr + 1)
    out["debiased"] = error(noise) / snr.clamp(max=1000).sqrt()
    out["l1"] = (predicted - noise).abs().mean([1, 2, 3])
    # With c = 1, 2·(√(d²+1)-1); torch's huber_loss is another function, so this one is written out.
    out["huber"] = (2 * ((predicted - noise).pow(2) + 1).sqrt() - 2).mean([1, 2, 3])
with open(pathlib.Path(__file__).with_name("loss.json"), "w") as file:
    json.dump({k: v.flatten().tolist() for k, v in out.items()}, file)
