"""Records what kohya's networks.lora does with network_weights, dim_from_weights, base_weights and base_weights_multiplier.

sd-scripts at commit 48d368f is read from $SD_SCRIPTS, or from .sd-scripts, as in ../../adapter/testdata/record_kohya.py. The model is that of
trace.safetensors.

begin.safetensors: "file.*" is an adapter whose layers have dims and alphas of their own; "merged.*" the weights of the model after it is merged
twice, at the strengths 0.5 and 1, as train_network.py does; "network.*" the state of a network with dims from the file.
"""

import os
import pathlib
import sys
import types

import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import load_file, save_file
from transformers import CLIPTextConfig, CLIPTextModel

HERE = pathlib.Path(__file__).parent


def networks_lora():
    for name, items in {"library": [], "library.utils": ["setup_logging"], "library.sdxl_original_unet": ["SdxlUNet2DConditionModel"]}.items():
        sys.modules[name] = types.ModuleType(name)
        for item in items:
            setattr(sys.modules[name], item, type(item, (), {}))
    sys.path.insert(0, os.environ.get("SD_SCRIPTS", ".sd-scripts"))
    import networks.lora

    return networks.lora


def model():
    unet = UNet2DConditionModel(
        in_channels=4, out_channels=4, block_out_channels=(8,), norm_num_groups=4, attention_head_dim=2, cross_attention_dim=8,
        layers_per_block=1, down_block_types=("DownBlock2D",), up_block_types=("UpBlock2D",))
    text = CLIPTextModel(CLIPTextConfig(
        vocab_size=10, hidden_size=8, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, max_position_embeddings=77,
        bos_token_id=8, eos_token_id=9))
    trace = load_file(HERE / "trace.safetensors")
    for prefix, part in (("unet.", unet), ("text.", text)):
        part.requires_grad_(False)
        part.load_state_dict({k[len(prefix):]: v.float() for k, v in trace.items() if k.startswith(prefix)}, strict=False)
    return text, unet


def main():
    lora = networks_lora()
    torch.manual_seed(6)
    text, unet = model()
    start = lora.create_network(1.0, 3, 1, None, text, unet, conv_dim=2, conv_alpha=1)
    file = {}
    for i, module in enumerate(start.text_encoder_loras + start.unet_loras):
        if i % 7 == 6:  # one that the file lacks
            continue
        dim = 1 + i % 4
        for key, p in module.state_dict().items():
            if key.startswith("org_module."):
                continue
            axis = {"lora_down.weight": 0, "lora_up.weight": 1}.get(key)
            if axis is None:
                value = torch.tensor([0.5, 1.0, float(dim)][i % 3])
            else:
                value = 0.3 * torch.randn([dim if a == axis else n for a, n in enumerate(p.shape)])
            file[f"{module.lora_name}.{key}"] = value
    out = {f"file.{k}": v for k, v in file.items()}

    network, _ = lora.create_network_from_weights(1, None, None, text, unet, weights_sd=dict(file))
    network.apply_to(text, unet, True, True)
    network.load_state_dict(file, strict=False)
    out |= {f"network.{k}": v.clone() for k, v in network.state_dict().items()}

    text, unet = model()
    for strength in (0.5, 1.0):
        part, weights = lora.create_network_from_weights(strength, None, None, text, unet, weights_sd=dict(file), for_inference=True)
        part.merge_to(text, unet, weights, torch.float32, "cpu")
    for prefix, part in (("unet.", unet), ("text.", text)):
        out |= {f"merged.{prefix}{k}": v for k, v in part.state_dict().items() if k.endswith(".weight") and v.dim() > 1}
    save_file({k: v.detach().contiguous().clone() for k, v in out.items()}, HERE / "begin.safetensors")


torch.set_num_threads(1)
main()
