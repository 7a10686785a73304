"""Records kohya's networks.lora into kohya.safetensors and kohya.json: dropout, and options by block.

sd-scripts is no package of a registry: the folder of a clone at commit 48d368f is read from $SD_SCRIPTS, or from
.sd-scripts, which docker/steps/sd-scripts.sh makes. What the module imports for other purposes is not there, and is replaced by empty stand-ins.

kohya.safetensors: for layers of every sort one LoRAModule in training, with the three kinds of dropout: its weights and input, the random
  numbers it drew (the mask of F.dropout as 0 and 1, torch.rand of the other kinds), its output and gradients for a random projection.
kohya.json: get_block_index of all layers of Stable Diffusion 1.5; rates by block of settings as they are written in network_args; dim and alpha of
  the modules that create_network makes with dims and alphas by block.
"""

import gzip
import json
import os
import pathlib
import sys
import types

import torch
from safetensors.torch import save_file

HERE = pathlib.Path(__file__).parent
SCRIPTS = os.environ.get("SD_SCRIPTS", ".sd-scripts")


def networks_lora():
    for name, classes in {"diffusers": ["AutoencoderKL"], "transformers": ["CLIPTextModel"], "library": [], "library.utils": ["setup_logging"],
                          "library.sdxl_original_unet": ["SdxlUNet2DConditionModel"]}.items():
        sys.modules[name] = types.ModuleType(name)
        for c in classes:
            setattr(sys.modules[name], c, type(c, (), {}))
    sys.path.insert(0, SCRIPTS)
    import networks.lora

    return networks.lora


lora = networks_lora()
P = dict(dropout=0.3, rank_dropout=0.4, module_dropout=0.2)
LAYERS = {  # the layer, and its input
    "text_model.encoder.layers.0.self_attn.q_proj": (lambda: torch.nn.Linear(8, 8), (3, 5, 8)),
    "mid_block.attentions.0.transformer_blocks.0.attn1.to_k": (lambda: torch.nn.Linear(8, 12, bias=False), (3, 6, 8)),
    "mid_block.attentions.0.proj_in": (lambda: torch.nn.Conv2d(10, 6, 1), (3, 10, 4, 3)),
    "down_blocks.0.resnets.0.conv1": (lambda: torch.nn.Conv2d(6, 8, 3, padding=1), (3, 6, 5, 4)),
    "down_blocks.0.downsamplers.0.conv": (lambda: torch.nn.Conv2d(6, 6, 3, stride=2, padding=1), (3, 6, 6, 4)),
    "down_blocks.0.resnets.0.time_emb_proj": (lambda: torch.nn.Linear(8, 6), (3, 8)),
}


def dropout():
    out = {}
    drawn = {}
    rand, drop = torch.rand, torch.nn.functional.dropout

    def recorded_rand(*shape, **options):
        u = rand(*shape, **options)
        drawn["module" if shape == (1,) else "rank"] = u
        return u

    def recorded_dropout(x, p):
        scaled = drop(torch.ones_like(x), p=p)
        drawn["neuron"] = (scaled > 0).float()
        return x * scaled

    for name, (make, shape) in LAYERS.items():
        torch.manual_seed(len(name))
        base = make()
        module = lora.LoRAModule(name, base, 1.0, 3, 2, **P)
        module.apply_to()
        torch.nn.init.normal_(module.lora_up.weight)
        x = torch.randn(*shape, requires_grad=True)
        while True:  # once with the module, so that there is something to compare
            drawn.clear()
            torch.rand, torch.nn.functional.dropout = recorded_rand, recorded_dropout
            y = base.forward(x)
            torch.rand, torch.nn.functional.dropout = rand, drop
            if drawn["module"].item() >= P["module_dropout"]:
                break
        projection = torch.randn_like(y)
        (y * projection).sum().backward()
        out |= {f"{name}/{k}": v for k, v in {"x": x, "weight": base.weight, "out": y, "projection": projection, "down": module.lora_down.weight,
                                             "up": module.lora_up.weight, "x.grad": x.grad, "down.grad": module.lora_down.weight.grad,
                                             "up.grad": module.lora_up.weight.grad}.items()}
        if base.bias is not None:
            out[name + "/bias"] = base.bias
        out |= {f"{name}/{k}.u": v for k, v in drawn.items()}
    save_file({k: v.detach().clone().contiguous() for k, v in out.items()}, HERE / "kohya.safetensors", {k: str(v) for k, v in P.items()})


def unet():
    """The modules of Stable Diffusion 1.5's UNet that networks.lora looks for, of one channel."""

    def module(kind, **children):
        m = type(kind, (torch.nn.Module,), {})()
        for name, child in children.items():
            m.add_module(name.strip("_"), child)
        return m

    def many(*modules):
        return torch.nn.ModuleList(modules)

    def linear():
        return torch.nn.Linear(1, 1)

    def conv(side):
        return torch.nn.Conv2d(1, 1, side)

    def transformer():
        def attention():
            return module("CrossAttention", to_q=linear(), to_k=linear(), to_v=linear(), to_out=many(linear()))

        forward = module("FeedForward", net=many(module("GEGLU", proj=linear()), torch.nn.Identity(), linear()))
        block = module("BasicTransformerBlock", attn1=attention(), attn2=attention(), ff=forward)
        return module("Transformer2DModel", proj_in=conv(1), transformer_blocks=many(block), proj_out=conv(1))

    def resnet(shortcut):
        m = module("ResnetBlock2D", conv1=conv(3), time_emb_proj=linear(), conv2=conv(3))
        if shortcut:
            m.conv_shortcut = conv(1)
        return m

    def level(attention, shortcuts, **sampler):
        parts = dict(resnets=many(*map(resnet, shortcuts)), **sampler)
        if attention:
            parts["attentions"] = many(*(transformer() for _ in shortcuts))
        return module("Level", **parts)

    def down():
        return dict(downsamplers=many(module("Downsample2D", conv=conv(3))))

    def up():
        return dict(upsamplers=many(module("Upsample2D", conv=conv(3))))

    return module("UNet", down_blocks=many(level(True, [0, 0], **down()), level(True, [1, 0], **down()), level(True, [1, 0], **down()), level(False, [0, 0])),
                  mid_block=module("Mid", resnets=many(resnet(0), resnet(0)), attentions=many(transformer())),
                  up_blocks=many(level(False, [1, 1, 1], **up()), level(True, [1, 1, 1], **up()), level(True, [1, 1, 1], **up()), level(True, [1, 1, 1])))


def blocks():
    with gzip.open(HERE / "modules_sd15.tsv.gz", "rt") as f:
        names = [w for line in f for w in line.split("\t") if w.startswith("lora_unet_")]
    settings = [
        dict(down_lr_weight="cosine"), dict(up_lr_weight="sine+.25"), dict(down_lr_weight="linear", up_lr_weight="reverse_linear+0.1"),
        dict(down_lr_weight="zeros", mid_lr_weight="0.5"), dict(up_lr_weight="zeros+1", block_lr_zero_threshold="0.2"),
        dict(down_lr_weight="1,0.5,,0.1,1,1,1,1,1,1,1,1", mid_lr_weight="0.1", block_lr_zero_threshold="0.1"),
        dict(down_lr_weight="0.5,0.25", up_lr_weight="1,0,0.75"), dict(mid_lr_weight="2"),
        dict(down_lr_weight=",".join(["0.5"] * 14), up_lr_weight="cosine"), dict(up_lr_weight="linear", block_lr_zero_threshold="0.5"),
    ]
    weights = [[s, lora.parse_block_lr_kwargs(False, s)] for s in settings]
    options = dict(block_dims=[i % 5 for i in range(25)], block_alphas=[1 + i / 4 for i in range(25)],
                   conv_block_dims=[(i + 2) % 7 for i in range(25)], conv_block_alphas=[i / 2 + 0.5 for i in range(25)])
    network = lora.create_network(1.0, 4, 1.0, None, torch.nn.Module(), unet(), **{k: ",".join(map(str, v)) for k, v in options.items()})
    out = {
        "index": {n: lora.get_block_index(n) for n in names},
        "weights": [{"args": s, "rates": rates} for s, rates in weights],
        "options": options,
        "dims": {m.lora_name: [m.lora_dim, m.alpha.item()] for m in network.unet_loras},
    }
    (HERE / "kohya.json").write_text("{" + ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in out.items()) + "}\n")


dropout()
blocks()
