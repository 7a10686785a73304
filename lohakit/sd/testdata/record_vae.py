"""Records vae.safetensors: a tiny autoencoder of the real topology with random weights, and what diffusers computes with it.

Run from the repository root by `make fixtures`. With the argument "half" or "full" it records that size to .cache/parity/ instead.
"""

import pathlib
import sys

import torch
from diffusers import AutoencoderKL
from safetensors.torch import save_file

# Name: channels, resnets a level, groups, images [B, 3, H, W].
SIZES = {
    "tiny": ((8, 16, 16), 1, 8, (2, 3, 24, 32)),
    "half": ((64, 128, 256, 256), 2, 32, (1, 3, 96, 128)),
    "full": ((128, 256, 512, 512), 2, 32, (1, 3, 64, 96)),
}


def record(size):
    channels, layers, groups, images = SIZES[size]
    levels = len(channels)
    torch.manual_seed(6)
    vae = AutoencoderKL(
        in_channels=3, out_channels=3, latent_channels=4, block_out_channels=channels, layers_per_block=layers, norm_num_groups=groups,
        sample_size=32, down_block_types=("DownEncoderBlock2D",) * levels, up_block_types=("UpDecoderBlock2D",) * levels).eval()
    with torch.no_grad():
        for p in vae.parameters():  # the initial values would leave norms untested; half precision keeps the file small
            p.copy_((p + 0.05 * torch.randn_like(p) / p[0].numel() ** 0.5).half().float())
    out = {"weights." + k: v.half() for k, v in vae.state_dict().items()}

    image = (torch.rand(images) * 2 - 1).requires_grad_()
    moments = vae.encode(image).latent_dist
    noise = torch.randn_like(moments.mean)
    draw = moments.mean + moments.std * noise
    scaled = draw * vae.config.scaling_factor
    projection = torch.randn_like(scaled)
    (scaled * projection).sum().backward()
    out |= {"image": image, "mean": moments.mean, "logvar": moments.logvar, "noise": noise, "draw": scaled,
            "encode.projection": projection, "encode.gradient": image.grad}

    latents = torch.randn_like(moments.mean).requires_grad_()
    decoded = vae.decode(latents / vae.config.scaling_factor).sample
    projection = torch.randn_like(decoded)
    (decoded * projection).sum().backward()
    out |= {"latents": latents, "decoded": decoded, "decode.projection": projection, "decode.gradient": latents.grad}

    path = pathlib.Path(".cache/parity", f"vae_{size}.safetensors")
    if size == "tiny":
        path = pathlib.Path(__file__).with_name("vae.safetensors")
        # Large images in overlapping tiles, blended: tiles of 8 latent pixels, every 6.
        vae.enable_tiling()
        vae.tile_latent_min_size, vae.tile_sample_min_size, vae.tile_overlap_factor = 8, 32, 0.25
        large = torch.randn(1, 4, 9, 19)
        tiled = vae.tiled_decode(large / vae.config.scaling_factor).sample
        vae.disable_tiling()
        out |= {"large": large, "large.tiled": tiled, "large.whole": vae.decode(large / vae.config.scaling_factor).sample}
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({k: v.detach().contiguous().clone() for k, v in out.items()}, path, metadata={"groups": str(groups)})


record(sys.argv[1] if len(sys.argv) > 1 else "tiny")
