"""Writes a .ckpt as training programs do, and the same tensors as safetensors, for checkpoint's pickle reader.

Run in the reference environment; it writes torch.ckpt and torch.safetensors beside itself.
"""

import pathlib
from collections import OrderedDict

import numpy
import torch
from safetensors.torch import save_file

torch.manual_seed(1)
shared = torch.randn(12)
tensors = OrderedDict(
    {
        "model.diffusion_model.input_blocks.0.0.weight": torch.randn(3, 2, 2, 2),
        "half": torch.randn(5).half(),
        "brain": torch.randn(2, 3).bfloat16(),
        "double": torch.randn(2).double(),
        "long": torch.arange(3),
        "bool": torch.tensor([True, False]),
        "scalar": torch.tensor(0.5),
        "empty": torch.zeros(0, 4),
        "transposed": torch.randn(3, 4).t(),
        "strided": torch.randn(4, 6)[1:, ::2],
        "shared.a": shared[:5],
        "shared.b": shared[3:9].reshape(2, 3),
        "parameter": torch.nn.Parameter(torch.randn(2)),
    }
)
checkpoint = {
    "epoch": 3,
    "global_step": 470000,
    "large": 2**40,
    "negative": -5,
    "version": "1.4.2",
    "loss": numpy.float64(0.25),
    "flags": [True, None, (1, 2, 3, 4), {"nested": {}}],
    "rate": 1e-4,
    "state_dict": tensors,
}
here = pathlib.Path(__file__).parent
torch.save(checkpoint, here / "torch.ckpt")
save_file({k: v.detach().contiguous().clone() for k, v in tensors.items()}, here / "torch.safetensors")
