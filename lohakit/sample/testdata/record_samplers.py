"""Records sampler trajectories of k-diffusion and diffusers on a small analytic denoiser into samplers.json."""
import inspect
import json
import pathlib

import diffusers
import torch
from k_diffusion import sampling

torch.manual_seed(0)
N, STEPS = 6, 8


def denoise(x, sigma):
    """A data distribution with two modes and some spread, in closed form: nonlinear in x and smooth in sigma."""
    s = sigma.reshape(-1, *[1] * (x.ndim - 1)) if torch.is_tensor(sigma) else sigma
    return torch.tanh(x / (0.3 + s**2)) + 0.05 * x / (0.25 + s**2)


scheduler = diffusers.DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False,
                                    set_alpha_to_one=False, steps_offset=1)
sigmas_train = ((1 - scheduler.alphas_cumprod.double()) / scheduler.alphas_cumprod.double()) ** 0.5


def sigma_of(t):
    low = t.floor().long().clamp(0, 998)
    f = t - low
    return ((1 - f) * sigmas_train[low].log() + f * sigmas_train[low + 1].log()).exp()


linear = torch.cat([sigma_of(torch.linspace(999, 0, STEPS).double()), torch.zeros(1).double()])
karras = sampling.get_sigmas_karras(STEPS, sigmas_train[0].item(), sigmas_train[-1].item()).double()
start = torch.randn(1, N, dtype=torch.float64)
noises = torch.randn(3 * STEPS, 1, N, dtype=torch.float64)


class Tape:
    """Hands out the recorded noises in order."""

    def __init__(self):
        self.i = -1

    def __call__(self, *_):
        self.i += 1
        return noises[self.i]


out = {"start": start[0].tolist(), "noises": [n[0].tolist() for n in noises], "runs": []}


def record(name, function, sigmas, **options):
    xs = []
    if "noise_sampler" in inspect.signature(function).parameters:
        options["noise_sampler"] = Tape()
    model = lambda x, sigma, **_: denoise(x, sigma)
    result = function(model, start * sigmas[0], sigmas, callback=lambda d: xs.append(d["x"][0].tolist()), disable=True, **options)
    out["runs"].append({"name": name, "sigmas": sigmas.tolist(), "eta": options.get("eta", 0.0), "xs": xs, "end": result[0].tolist()})


record("Euler", sampling.sample_euler, linear)
record("Euler a", sampling.sample_euler_ancestral, linear, eta=1.0)
record("Euler a", sampling.sample_euler_ancestral, linear, eta=0.5)
record("Heun", sampling.sample_heun, linear)
record("LMS", sampling.sample_lms, linear)
record("DPM++ 2M", sampling.sample_dpmpp_2m, linear)
record("DPM++ 2M Karras", sampling.sample_dpmpp_2m, karras)
record("DPM++ SDE", sampling.sample_dpmpp_sde, linear, eta=1.0)
record("DPM++ SDE Karras", sampling.sample_dpmpp_sde, karras, eta=1.0)

for eta in (0.0, 0.7, 1.0):
    scheduler.set_timesteps(STEPS)
    x, tape, xs = start.clone(), Tape(), []
    for t in scheduler.timesteps:
        a = scheduler.alphas_cumprod[t].double()
        sigma = ((1 - a) / a) ** 0.5
        scaled = x / a**0.5
        xs.append(scaled[0].tolist())
        eps = (scaled - denoise(scaled, sigma)) / sigma
        noise = tape() if eta > 0 else None
        x = scheduler.step(eps, t, x, eta=eta, variance_noise=noise).prev_sample
    sigmas = sigmas_train[scheduler.timesteps].tolist() + [sigmas_train[0].item()]
    out["runs"].append({"name": "DDIM", "sigmas": sigmas, "eta": eta, "xs": xs, "end": x[0].tolist()})

path = pathlib.Path(__file__).parent / "samplers.json"
path.write_text(json.dumps(out, indent=None, separators=(",", ":")) + "\n")
