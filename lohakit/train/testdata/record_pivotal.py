"""Records 12 steps of pivotal tuning with PyTorch, diffusers, transformers and LyCORIS 3.2.0.post2: a LoRA of both networks and two words.

Run by `make fixtures` after record_trace.py, whose networks, latents, noise and timesteps it takes from trace.safetensors.

kohya's textual-inversion trainer differentiates by the whole token table, puts the old rows back after each step, and clips by the norm of
all of it. Here only the new rows have a gradient, as in trainers that tune words and adapter together.

pivotal.safetensors holds the rows that stand in each caption (from 10 on those of the words), the parameters before and after, and the losses.
"""

import pathlib

import torch
import torch.nn.functional as F
from diffusers import DDPMScheduler, UNet2DConditionModel
from lycoris.kohya import create_network
from safetensors.torch import load_file, save_file
from transformers import CLIPTextConfig, CLIPTextModel

STEPS, ROWS, WIDTH = 12, 10, 8
RATES = {"a": 1e-2, "b": 3e-3}
STOP = 8  # of "b"
here = pathlib.Path(__file__)


class Table(torch.nn.Module):
    """The token table with the words' vectors below it."""

    def __init__(self, table, words):
        super().__init__()
        self.table, self.words = table, words

    def forward(self, ids):
        return F.embedding(ids, torch.cat([self.table, *self.words.values()]))


def main():
    trace = load_file(here.with_name("trace.safetensors"))
    unet = UNet2DConditionModel(
        in_channels=4, out_channels=4, block_out_channels=(8,), norm_num_groups=4, attention_head_dim=2, cross_attention_dim=WIDTH,
        layers_per_block=1, down_block_types=("DownBlock2D",), up_block_types=("UpBlock2D",))
    text = CLIPTextModel(CLIPTextConfig(
        vocab_size=ROWS, hidden_size=WIDTH, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, max_position_embeddings=77,
        bos_token_id=8, eos_token_id=9))
    with torch.no_grad():
        for prefix, model in (("unet.", unet), ("text.", text)):
            model.requires_grad_(False)
            for name, p in model.named_parameters():
                p.copy_(trace[prefix + name].float())
    torch.manual_seed(17)
    scheduler = DDPMScheduler(num_train_timesteps=1000, beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
    rows = trace["rows"][:STEPS].clone()
    for step in range(STEPS):
        for sample in range(rows.shape[1]):
            rows[step, sample, 3:6] = torch.tensor([10, 11, 12])
            rows[step, sample, 9 + sample] = 13
    words = {"a": torch.nn.Parameter(0.1 * torch.randn(3, WIDTH)), "b": torch.nn.Parameter(0.1 * torch.randn(1, WIDTH))}
    table = text.get_input_embeddings().weight.detach().clone()
    network = create_network(1.0, 3, 1, None, text, unet, conv_dim=2, conv_alpha=1, algo="lora", preset="attn-mlp")
    network.apply_to(text, unet, True, True)
    out = {"rows": rows}
    for loras in (network.text_encoder_loras, network.unet_loras):
        for lora in loras:
            for p in lora.parameters():
                if not p.any():
                    with torch.no_grad():
                        p.copy_(0.05 * torch.randn_like(p))
    for name, p in network.state_dict().items():
        out["before." + name] = p.detach().clone()
    for name, p in words.items():
        out["before." + name] = p.detach().clone()
    text.set_input_embeddings(Table(table, words))

    layers = [p for p in network.parameters() if p.requires_grad]
    groups = [{"params": layers, "lr": 2e-3}] + [{"params": [p], "lr": RATES[name]} for name, p in words.items()]
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.99), weight_decay=0.1, eps=1e-5)
    losses = []
    for step in range(STEPS):
        if step == STOP:
            words["b"].requires_grad_(False)
        states = text(rows[step].long()).last_hidden_state
        noisy = scheduler.add_noise(trace["latents"][step], trace["noise"][step], trace["timesteps"][step].long())
        predicted = unet(noisy, trace["timesteps"][step], states).sample
        loss = F.mse_loss(predicted, trace["noise"][step], reduction="none").mean([1, 2, 3]).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(layers + list(words.values()), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(loss.item())
    for name, p in [*network.state_dict().items(), *words.items()]:
        out["after." + name] = p.detach().clone()
    out["losses"] = torch.tensor(losses)
    save_file({k: v.contiguous() for k, v in out.items()}, here.with_name("pivotal.safetensors"))


torch.set_num_threads(1)
main()
