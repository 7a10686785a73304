"""Records how kohya's trainer reads weighted captions, with its own tokenizing and encoding strategies for Stable Diffusion 1.x.

sd-scripts at commit 48d368f is read from $SD_SCRIPTS, or from .sd-scripts, as in ../../adapter/testdata/record_kohya.py. The text encoder is that of
trace.safetensors; the tokenizer CLIP's, made from the vocabulary in lohakit/sd/vocab as in ../../sd/testdata/record_tokens.py.

emphasis.json: for captions and numbers of tokens the ids and the weights, [chunks][77].
emphasis.safetensors: rows and weights [2, n, 77] for n chunks, and the states [2, 75n+2, 8] that they make.
"""

import importlib.util
import json
import os
import pathlib
import sys
import tempfile
import types

import torch
from safetensors.torch import load_file, save_file
from transformers import CLIPTextConfig, CLIPTextModel

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, os.environ.get("SD_SCRIPTS", ".sd-scripts"))
for name, items in {"library.utils": ["setup_logging"], "library.train_util": [], "imagesize": []}.items():
    sys.modules[name] = types.ModuleType(name)
    for item in items:
        setattr(sys.modules[name], item, lambda *_: None)
from library import strategy_sd  # noqa: E402

CAPTIONS = ["1girl, (smile:1.3), [hat], outdoors", "a (((house:1.3)) [on] a (hill:0.5), sun, (((sky))).", r"\(literal\] and \\", "(unbalanced, [both", "",
            "no weights at all", "((long)) " * 60 + "(tail:1.7)", "a:b (c : d) (e:.5) x)", "odd (brackets:1.2) BREAK (more:0.8)"]


def tokenizer():
    spec = importlib.util.spec_from_file_location("record_tokens", HERE / "../../sd/testdata/record_tokens.py")
    tokens = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tokens)
    with tempfile.TemporaryDirectory() as folder:
        return tokens.tokenizer(pathlib.Path(folder))


def main():
    strategy = strategy_sd.SdTokenizeStrategy.__new__(strategy_sd.SdTokenizeStrategy)
    strategy.tokenizer = tokenizer()
    strategy.tokenizer.model_max_length = 77
    read = []
    for length in (75, 150):
        strategy.max_length = length + 2
        for caption in CAPTIONS:
            ids, weights = strategy.tokenize_with_weights(caption)
            read.append({"caption": caption, "length": length, "ids": ids[0][0].reshape(-1, 77).tolist(), "weights": weights[0][0].reshape(-1, 77).tolist()})
    (HERE / "emphasis.json").write_text(json.dumps(read))

    text = CLIPTextModel(CLIPTextConfig(
        vocab_size=10, hidden_size=8, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, max_position_embeddings=77,
        bos_token_id=8, eos_token_id=9))
    text.load_state_dict({k[5:]: v.float() for k, v in load_file(HERE / "trace.safetensors").items() if k.startswith("text.")}, strict=False)
    torch.manual_seed(8)
    out = {}
    for n in (1, 2):
        rows = torch.randint(0, 8, (2, n, 77))
        rows[:, :, 0], rows[:, :, -1] = 8, 9
        weights = torch.ones(2, n, 77)
        weights[:, :, 1:-1] = 0.5 + torch.rand(2, n, 75)
        with torch.no_grad():
            states = strategy_sd.SdTextEncodingStrategy().encode_tokens_with_weights(strategy, [text], [rows], [weights])[0]
        out |= {f"{n}.rows": rows.int(), f"{n}.weights": weights, f"{n}.states": states}
    save_file({k: v.contiguous() for k, v in out.items()}, HERE / "emphasis.safetensors")


main()
