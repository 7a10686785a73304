"""Records 20 training steps of several kinds of adapter with PyTorch, diffusers, transformers and LyCORIS 3.2.0.post2.

Run by `make fixtures`.

LyCORIS' own backward pass of a LoHa with a core gives hada_w1_a and hada_w2_a each the gradient that belongs to the other's core (in
functional/loha.py the sum over t2 and w2_b is used for w1_a and the reverse): "loha tucker lycoris" is trained so, and for "loha tucker"
PyTorch differentiates the forward pass itself.

trace.safetensors holds a tiny UNet and text encoder, the batches (latents, noise, timesteps, token rows), and for every kind the
adapter's parameters before and after, and the losses.
"""

import pathlib

import torch
import torch.nn.functional as F
import lycoris.functional.loha
import lycoris.kohya
from diffusers import DDPMScheduler, UNet2DConditionModel
from lycoris.config import PRESET
from lycoris.kohya import create_network
from lycoris.modules.ia3 import IA3Module
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel

STEPS, BATCH, ROWS, WIDTH = 20, 2, 10, 8
KINDS = {
    "loha tucker": dict(algo="loha", use_tucker="True"),
    "loha tucker lycoris": dict(algo="loha", use_tucker="True"),
    "loha": dict(algo="loha"),
    "locon": dict(algo="lora"),
    "lokr": dict(algo="lokr"),
    "lora": dict(algo="lora", preset="attn-mlp"),
    "locon tucker": dict(algo="lora", use_tucker="True"),
    "dora": dict(algo="lora", dora_wd="True"),
    "ia3": dict(algo="ia3", preset="ia3"),
    # Last, because it takes the weights out of the base model. LyCORIS trains W+ΔW, so that its weight decay pulls W towards nothing and
    # not ΔW: no decay.
    "full": dict(algo="full"),
}


def tucker(t1, w1d, w1u, t2, w2d, w2u, scale):
    rebuild = lambda t, d, u: torch.einsum("ij...,jr,ip->pr...", t, d, u)
    return rebuild(t1, w1d, w1u) * rebuild(t2, w2d, w2u) * scale


# LyCORIS' table of kinds leaves (IA)³ out, and its preset names layers so that it finds none in diffusers: the same layers by pattern.
lycoris.kohya.network_module_dict["ia3"] = IA3Module
PRESET["ia3"].update(
    use_fnmatch=True, unet_target_name=["*.to_k", "*.to_v", "*.ff.net.2"], text_encoder_target_name=["*.k_proj", "*.v_proj", "*.mlp.fc2"],
    name_algo_map={"*.mlp.fc2": {"train_on_input": True}, "*.ff.net.2": {"train_on_input": True}})
own_tucker = lycoris.functional.loha.make_weight_tucker


def main():
    torch.manual_seed(5)
    unet = UNet2DConditionModel(
        in_channels=4, out_channels=4, block_out_channels=(8,), norm_num_groups=4, attention_head_dim=2, cross_attention_dim=WIDTH,
        layers_per_block=1, down_block_types=("DownBlock2D",), up_block_types=("UpBlock2D",))
    text = CLIPTextModel(CLIPTextConfig(
        vocab_size=ROWS, hidden_size=WIDTH, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, max_position_embeddings=77,
        bos_token_id=8, eos_token_id=9))
    out = {}
    with torch.no_grad():
        for prefix, model in (("unet.", unet), ("text.", text)):
            model.requires_grad_(False)
            for name, p in model.named_parameters():
                p.copy_((p + 0.05 * torch.randn_like(p)).half().float())
                out[prefix + name] = p.half()
    scheduler = DDPMScheduler(num_train_timesteps=1000, beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
    out["latents"] = latents = torch.randn(STEPS, BATCH, 4, 8, 8)
    out["noise"] = noise = torch.randn(STEPS, BATCH, 4, 8, 8)
    out["timesteps"] = timesteps = torch.randint(0, 1000, (STEPS, BATCH), dtype=torch.int32)
    out["rows"] = rows = torch.randint(0, 8, (STEPS, BATCH, 77), dtype=torch.int32)
    rows[:, :, 0], rows[:, :, -1] = 8, 9

    for kind, options in KINDS.items():
        torch.manual_seed(11)
        lycoris.functional.loha.make_weight_tucker = tucker if kind == "loha tucker" else own_tucker
        network = create_network(1.0, 3, 1, None, text, unet, conv_dim=2, conv_alpha=1, **{"preset": "full", **options})
        network.apply_to(text, unet, True, True)
        for loras in (network.text_encoder_loras, network.unet_loras):
            for lora in loras:
                for name, p in lora.named_parameters():
                    if not p.any():  # what begins at nothing would leave half of the gradients untested in the first step
                        with torch.no_grad():
                            p.copy_(0.05 * torch.randn_like(p))
        params = [p for p in network.parameters() if p.requires_grad]
        for name, p in network.state_dict().items():
            out[f"{kind}.before.{name}"] = p.detach().clone()
        optimizer = torch.optim.AdamW(params, lr=2e-3, betas=(0.9, 0.99), weight_decay=0 if kind == "full" else 0.1, eps=1e-5)
        losses = []
        for step in range(STEPS):
            states = text(rows[step].long()).last_hidden_state
            noisy = scheduler.add_noise(latents[step], noise[step], timesteps[step].long())
            predicted = unet(noisy, timesteps[step], states).sample
            loss = F.mse_loss(predicted, noise[step], reduction="none").mean([1, 2, 3]).mean()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(params, 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            losses.append(loss.item())
        for name, p in network.state_dict().items():
            out[f"{kind}.after.{name}"] = p.detach().clone()
        out[f"{kind}.losses"] = torch.tensor(losses)
        for loras in (network.text_encoder_loras, network.unet_loras):
            for lora in loras:
                lora.restore()
    save_file({k: v.contiguous() for k, v in out.items()}, pathlib.Path(__file__).with_name("trace.safetensors"))


torch.set_num_threads(1)
main()
