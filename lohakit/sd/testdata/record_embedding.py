"""Records embedding.pt: an embedding as the web UI's own Embedding.save writes it with PyTorch.

Run from the repository root by `make fixtures`.
"""

import pathlib

import torch

vectors = torch.arange(1, 9, dtype=torch.float32).reshape(2, 4).requires_grad_(True)
torch.save(
    {
        "string_to_token": {"*": 265},
        "string_to_param": {"*": vectors},
        "name": "tilty",
        "step": 100,
        "sd_checkpoint": "0123456789",
        "sd_checkpoint_name": "NAI",
    },
    pathlib.Path(__file__).with_name("embedding.pt"),
)
