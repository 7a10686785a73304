"""Records whole networks of LyCORIS 3.2.0.post2, and a LoRA of PEFT as diffusers saves it, on the tiny UNet of sd's fixture.

network_KIND.safetensors: the file as that program writes it, and under "out" what the UNet computes with it (at multiplier 0.7) for the
  inputs of sd's fixture.
targets.json.gz: names of the layers that LyCORIS' presets choose in Stable Diffusion 1.5, and with some rules kind and dim of each.
init.json: deviation and largest value of every tensor of a new module.

Run in the reference environment.
"""

import gzip
import json
import pathlib
import tempfile

import torch
from diffusers import StableDiffusionPipeline, UNet2DConditionModel
from diffusers.utils import convert_state_dict_to_diffusers
from lycoris import kohya
from lycoris.config import PRESET
from lycoris.modules.locon import LoConModule
from lycoris.modules.loha import LohaModule
from lycoris.modules.lokr import LokrModule
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from transformers import CLIPTextConfig, CLIPTextModel

HERE = pathlib.Path(__file__).parent
MULTIPLIER = 0.7
fixture = load_file(HERE / "../../sd/testdata/unet.safetensors")


def tiny():
    unet = UNet2DConditionModel(in_channels=4, out_channels=4, block_out_channels=(8, 8, 16, 16), norm_num_groups=4, attention_head_dim=2,
                                cross_attention_dim=12, layers_per_block=2).eval()
    unet.load_state_dict({k.removeprefix("weights."): v.float() for k, v in fixture.items() if k.startswith("weights.")})
    text = CLIPTextModel(CLIPTextConfig(vocab_size=12, hidden_size=12, intermediate_size=24, num_hidden_layers=1, num_attention_heads=2))
    return unet, text


def run(unet):
    with torch.no_grad():
        return unet(fixture["x"], fixture["t"], fixture["context"]).sample


def scramble(parameters):
    with torch.no_grad():
        for p in parameters:
            p.copy_((p + 0.2 * torch.randn_like(p)).half().float())


def keep(name, file, out):
    with safe_open(file, "pt") as f:
        metadata = f.metadata()
    tensors = load_file(file)
    save_file({**{"file/" + k: v for k, v in tensors.items()}, "out": out}, HERE / f"network_{name}.safetensors", metadata)


def network(name, **options):
    torch.manual_seed(5)
    preset = options.pop("preset", "full")
    options = {k: str(v) for k, v in options.items()}
    unet, text = tiny()
    net = kohya.create_network(MULTIPLIER, 2, 1, None, text, unet, preset=preset, **options)
    net.apply_to(text, unet, True, True)
    scramble(net.parameters())
    net.eval()
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder, "a.safetensors")
        net.save_weights(str(file), torch.float16, {"ss_network_module": "lycoris.kohya"})
        keep(name, file, run(unet))


def peft():
    torch.manual_seed(6)
    unet, _ = tiny()
    unet.add_adapter(LoraConfig(r=2, lora_alpha=1, target_modules=["to_q", "to_k", "to_v", "to_out.0", "proj_in", "conv1"], use_dora=False))
    scramble(p for n, p in unet.named_parameters() if "lora" in n)
    with tempfile.TemporaryDirectory() as folder:
        StableDiffusionPipeline.save_lora_weights(folder, unet_lora_layers=convert_state_dict_to_diffusers(get_peft_model_state_dict(unet)),
                                                  unet_lora_adapter_metadata=unet.peft_config["default"].to_dict())
        keep("peft", next(pathlib.Path(folder).glob("*.safetensors")), run(unet))


def targets():
    """On narrower models with the layers of Stable Diffusion 1.5."""
    unet = UNet2DConditionModel(block_out_channels=(32, 64, 128, 128), cross_attention_dim=24)
    text = CLIPTextModel(CLIPTextConfig(vocab_size=8, hidden_size=24, intermediate_size=48, num_hidden_layers=12, num_attention_heads=2))

    def make(preset):
        kohya.LycorisNetworkKohya.apply_preset({"module_algo_map": {}, "name_algo_map": {}, "use_fnmatch": False})
        net = kohya.create_network(1, 8, 1, None, text, unet, algo="locon", conv_dim="4", conv_alpha="1", preset=preset)
        return net.unet_loras + net.text_encoder_loras

    made = {preset: sorted(m.lora_name for m in make(preset)) for preset in PRESET}
    made["preset.toml"] = {m.lora_name: [type(m).__name__, m.lora_dim, m.alpha.item()] for m in make(str(HERE / "preset.toml"))}
    with gzip.GzipFile(HERE / "targets.json.gz", "w", mtime=0) as f:
        f.write(json.dumps(made).encode())


def new():
    torch.manual_seed(1)
    linear, conv = (lambda: torch.nn.Linear(640, 320)), (lambda: torch.nn.Conv2d(128, 96, 3))
    modules = {
        "lora/linear": LoConModule("", linear(), 1, 32, 1),
        "locon/conv": LoConModule("", conv(), 1, 32, 1),
        "locon tucker/conv": LoConModule("", conv(), 1, 32, 1, use_tucker=True),
        "loha/linear": LohaModule("", linear(), 1, 32, 1),
        "loha/conv": LohaModule("", conv(), 1, 32, 1),
        "loha tucker/conv": LohaModule("", conv(), 1, 32, 1, use_tucker=True),
        "lokr/linear": LokrModule("", linear(), 1, 8, 1, factor=4),
        "lokr/conv": LokrModule("", conv(), 1, 4, 1, factor=2),
        "lokr tucker/conv": LokrModule("", conv(), 1, 4, 1, factor=2, use_tucker=True),
        "lokr both/linear": LokrModule("", linear(), 1, 4, 1, factor=16, decompose_both=True),
        "lokr full/linear": LokrModule("", linear(), 1, 4, 1, factor=16, full_matrix=True),
        "lora scalar/linear": LoConModule("", linear(), 1, 32, 1, use_scalar=True),
        "loha scalar/linear": LohaModule("", linear(), 1, 32, 1, use_scalar=True),
        "lokr scalar/conv": LokrModule("", conv(), 1, 4, 1, factor=2, use_scalar=True),
        "lokr tucker scalar/conv": LokrModule("", conv(), 1, 4, 1, factor=2, use_tucker=True, use_scalar=True),
        "lokr full scalar/linear": LokrModule("", linear(), 1, 4, 1, factor=16, full_matrix=True, use_scalar=True),
    }
    stats = {name: {key: [p.std().item() if p.numel() > 1 else 0.0, p.abs().max().item()] for key, p in m.named_parameters()} for name, m in modules.items()}
    (HERE / "init.json").write_text(json.dumps(stats, indent=1))


network("loha", algo="loha", conv_dim=2, use_tucker=True)
network("dora", algo="locon", conv_dim=2, dora_wd=True, train_norm=True)
network("lokr", algo="lokr", conv_dim=2, factor=4)
peft()
targets()
new()
