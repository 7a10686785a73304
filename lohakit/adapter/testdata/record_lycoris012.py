"""Records what LyCORIS 0.1.2 (March 2023, the version of the model card's experiments) does, for adapter's tests of that time:

untrained_cores.safetensors: a file of Tucker LoHas as that version trained and saved it, and with each layer the base weight and the weight
  that training applied. Its backward pass and its forward pass use hada_t1 for both products.
init2023.json: deviation and largest value of every tensor of a new module.

Run in the reference environment; it fetches that version's source into a temporary folder.
"""

import json
import pathlib
import subprocess
import sys
import tarfile
import tempfile

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

HERE = pathlib.Path(__file__).parent

with tempfile.TemporaryDirectory() as folder:
    subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:", "--no-build-isolation",
                    "lycoris-lora==0.1.2", "-d", folder], check=True)
    with tarfile.open(next(pathlib.Path(folder).glob("*.tar.gz"))) as archive:
        archive.extractall(folder, filter="data")
    sys.path.insert(0, str(next(pathlib.Path(folder).glob("*/lycoris")).parent))
    from lycoris.locon import LoConModule
    from lycoris.loha import LohaModule


def trained():
    """Fits twelve convolutions to targets of their own for a few hundred steps."""
    torch.manual_seed(20230325)
    out, layers = {}, []
    for i in range(12):
        base = torch.nn.Conv2d(8, 12, 3, padding=1).requires_grad_(False)
        name = f"down_blocks.{i % 4}.resnets.{i // 4}.conv1"
        layers.append((name, base, base.weight.detach().clone(), LohaModule("", base, 1, 8, 1, use_cp=True)))
    targets = [base.weight + 0.1 * torch.randn_like(base.weight) for _, base, _, _ in layers]
    optimizer = torch.optim.AdamW([p for *_, m in layers for p in m.parameters()], lr=5e-3, weight_decay=0.1)
    for _ in range(200):
        x = torch.randn(4, 8, 6, 6)
        loss = sum(((m(x) - F.conv2d(x, t, base.bias, padding=1)) ** 2).mean() for (_, base, _, m), t in zip(layers, targets))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    for name, _, weight, m in layers:
        seen = {}
        m.op = lambda x, w, *_, **__: seen.update(w=w) or x
        m(torch.zeros(1, 8, 6, 6))
        out[f"base/{name}"], out[f"applied/{name}"] = weight, seen["w"].detach()
        for key, value in m.state_dict().items():
            out[f"file/lora_unet_{name.replace('.', '_')}.{key}"] = value.float()
    save_file({k: v.contiguous().clone() for k, v in out.items()}, HERE / "untrained_cores.safetensors", {"lycoris": "0.1.2"})


def new():
    """Tensors of new modules. A linear layer of 640 to 320, and convolutions 3×3 of 128 to 96."""
    torch.manual_seed(1)
    modules = {
        "lora/linear": LoConModule("", torch.nn.Linear(640, 320), 1, 32, 1),
        "locon/conv": LoConModule("", torch.nn.Conv2d(128, 96, 3), 1, 32, 1, use_cp=False),
        "locon tucker/conv": LoConModule("", torch.nn.Conv2d(128, 96, 3), 1, 32, 1, use_cp=True),
        "loha/linear": LohaModule("", torch.nn.Linear(640, 320), 1, 32, 1),
        "loha/conv": LohaModule("", torch.nn.Conv2d(128, 96, 3), 1, 32, 1, use_cp=False),
        "loha tucker/conv": LohaModule("", torch.nn.Conv2d(128, 96, 3), 1, 32, 1, use_cp=True),
    }
    stats = {name: {key: [v.std().item(), v.abs().max().item()] for key, v in m.state_dict().items() if v.numel() > 1 and "org_" not in key}
             for name, m in modules.items()}
    (HERE / "init2023.json").write_text(json.dumps(stats, indent=1))


trained()
new()
