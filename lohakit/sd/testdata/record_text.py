"""Records text.safetensors: a tiny CLIP text encoder with random weights, and what transformers computes with it.

Run from the repository root by `make fixtures`. With the argument "half" or "full" it records that size to .cache/parity/ instead.
The tiny token table is compact (see TextConfig.TokenIDs); the reference gets the rows' numbers. Recorded for 1, 2 and 3 chunks and
every clip skip, with the gradient of a random projection of the states with respect to five of the weights, of which the
position table stands for the input: every position gets its own row's.
"""

import pathlib
import sys

import torch
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel

WINDOW, BOS, EOS = 77, 49406, 49407
KNOWN = [267, 320, 518, 1611, 2225, 2368, 5797, 9342, 16066, BOS, EOS]
BUCKETS = 6

# Name: width, MLP, layers, heads, clip skips.
SIZES = {
    "tiny": (24, 48, 3, 4, (1, 2, 3)),
    "half": (384, 1536, 6, 6, (1, 2, 6)),
    "full": (768, 3072, 12, 12, (1, 2, 12)),
}


def row(token):
    return KNOWN.index(token) if token in KNOWN else len(KNOWN) + token % BUCKETS


def chunks(tokens, n):
    """The trainer's rule: pad the whole text, cut it every 75."""
    text = (tokens + [EOS] * (75 * n))[: 75 * n]
    return [[BOS] + text[75 * i : 75 * i + 75] + [EOS] for i in range(n)]


def join(states):
    """BOS of the first chunk, 75 of each, EOS of the last: states is [chunks, 77, width]."""
    return torch.cat([states[0, :1]] + [s[1:-1] for s in states] + [states[-1, -1:]])


def record(size):
    width, mlp, layers, heads, skips = SIZES[size]
    compact = size == "tiny"
    torch.manual_seed(5)
    config = CLIPTextConfig(
        vocab_size=len(KNOWN) + BUCKETS if compact else EOS + 1, hidden_size=width, intermediate_size=mlp, num_hidden_layers=layers,
        num_attention_heads=heads, max_position_embeddings=WINDOW, hidden_act="quick_gelu", eos_token_id=2, bos_token_id=0, pad_token_id=1)
    model = CLIPTextModel(config).eval()
    with torch.no_grad():
        for p in model.parameters():  # the initial values would leave biases and norms untested; half precision keeps the file small
            p.copy_((p + 0.1 * torch.randn_like(p) / p[0].numel() ** 0.5).half().float())
    out = {"weights.text_model." + k.removeprefix("text_model."): v.half()
           for k, v in model.state_dict().items() if not k.endswith("position_ids")}
    if compact:
        out["token_ids"] = torch.tensor(KNOWN, dtype=torch.int32)

    def rows(ids):
        return torch.tensor([[row(i) for i in t] for t in ids.tolist()]) if compact else ids.long()

    for n in 1, 2, 3:
        texts = [torch.randint(0, BOS, (40 * n,)).tolist(), torch.tensor(KNOWN)[torch.randint(0, 9, (300,))].tolist()]
        ids = torch.tensor([chunks(t, n) for t in texts])  # [2, n, 77]
        hidden = model(rows(ids.reshape(-1, WINDOW)), output_hidden_states=True).hidden_states
        out[f"ids.{n}"] = ids.reshape(2, -1).to(torch.int32)
        for skip in skips:
            states = model.text_model.final_layer_norm(hidden[-skip]).reshape(2, n, WINDOW, -1)
            out[f"states.{n}.{skip}"] = torch.stack([join(s) for s in states]).detach()

    projection = torch.randn(2, WINDOW, width)
    hidden = model(rows(out["ids.1"]), output_hidden_states=True).hidden_states
    (model.text_model.final_layer_norm(hidden[-2]) * projection).sum().backward()
    out["projection"] = projection
    for name in ["embeddings.token_embedding.weight", "embeddings.position_embedding.weight",
                 "encoder.layers.0.self_attn.q_proj.weight", "encoder.layers.1.mlp.fc2.bias", "final_layer_norm.weight"]:
        out["gradient.text_model." + name] = model.text_model.get_parameter(name).grad
    path = pathlib.Path(__file__).with_name("text.safetensors")
    if size != "tiny":
        path = pathlib.Path(".cache/parity", f"text_{size}.safetensors")
        path.parent.mkdir(parents=True, exist_ok=True)
    save_file({k: v.contiguous().clone() for k, v in out.items()}, path, metadata={"heads": str(heads)})


record(sys.argv[1] if len(sys.argv) > 1 else "tiny")
