"""Records unet.safetensors: a tiny UNet of the real topology with random weights, what diffusers computes with it, and gradients.

Run from the repository root by `make fixtures`. With the argument "half" or "full" it records that size to .cache/parity/ instead.
"""

import pathlib
import sys

import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import save_file

# Name: channels, groups, heads, width of the context, latents [B, C, H, W], tokens. The tiny latents shrink to odd sizes on the way.
SIZES = {
    "tiny": ((8, 8, 16, 16), 4, 2, 12, (2, 4, 12, 10), 5),
    "half": ((32, 64, 64, 64), 32, 8, 64, (2, 4, 32, 32), 77),
    "full": ((320, 640, 1280, 1280), 32, 8, 768, (1, 4, 32, 32), 77),
}

# One weight of each kind. (At half size level 0 has one channel a group, where the norm cancels a bias before it.)
KINDS = ("conv_in.weight", "time_embedding.linear_1.weight", "down_blocks.0.resnets.0.norm1.weight",
         "down_blocks.1.resnets.1.conv1.bias", "down_blocks.0.downsamplers.0.conv.weight", "down_blocks.1.resnets.0.time_emb_proj.weight",
         "up_blocks.0.resnets.0.conv_shortcut.weight", "down_blocks.1.attentions.0.proj_in.weight",
         "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q.weight", "down_blocks.1.attentions.0.transformer_blocks.0.norm2.bias",
         "mid_block.attentions.0.transformer_blocks.0.attn2.to_k.weight", "mid_block.attentions.0.transformer_blocks.0.attn2.to_v.weight",
         "mid_block.resnets.1.conv2.weight", "up_blocks.1.upsamplers.0.conv.weight",
         "up_blocks.2.attentions.1.transformer_blocks.0.ff.net.0.proj.weight", "up_blocks.3.resnets.2.conv1.weight",
         "up_blocks.3.attentions.2.transformer_blocks.0.attn1.to_out.0.bias", "conv_norm_out.weight", "conv_out.weight")


def record(size):
    channels, groups, heads, cross, latents, tokens = SIZES[size]
    torch.manual_seed(7)
    unet = UNet2DConditionModel(
        in_channels=latents[1], out_channels=latents[1], block_out_channels=channels, norm_num_groups=groups, attention_head_dim=heads,
        cross_attention_dim=cross, layers_per_block=2).eval()
    with torch.no_grad():
        for p in unet.parameters():  # the initial values would leave norms untested; half precision keeps the file small
            p.copy_((p + 0.05 * torch.randn_like(p) / p[0].numel() ** 0.5).half().float())
    for name, p in unet.named_parameters():
        p.requires_grad_(name in KINDS)
    x = torch.randn(latents, requires_grad=True)
    context = torch.randn(latents[0], tokens, cross, requires_grad=True)
    t = torch.tensor([3.0, 981.0])[:latents[0]]
    out = unet(x, t, context).sample
    projection = torch.randn_like(out)
    (out * projection).sum().backward()
    weights = dict(unet.named_parameters())
    tensors = {"weights." + k: v.half() for k, v in weights.items()}
    tensors |= {"x": x, "t": t, "context": context, "projection": projection, "out": out, "gradient.x": x.grad, "gradient.context": context.grad}
    tensors |= {"gradient.weights." + k: weights[k].grad for k in KINDS}
    path = pathlib.Path(__file__).with_name("unet.safetensors")
    if size != "tiny":
        path = pathlib.Path(".cache/parity", f"unet_{size}.safetensors")
        path.parent.mkdir(parents=True, exist_ok=True)
    save_file({k: v.detach().contiguous().clone() for k, v in tensors.items()}, path, metadata={"groups": str(groups), "heads": str(heads)})


record(sys.argv[1] if len(sys.argv) > 1 else "tiny")
