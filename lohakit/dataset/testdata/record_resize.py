"""Records what PIL's Lanczos filter makes of a small image. Run by `make fixtures`."""
import json
import pathlib

from PIL import Image

W, H = 7, 5
pixels = [((37 * x * x + 11 * y) % 256, (91 * y + 5 * x) % 256, 255 if (x + y) % 3 else 0) for y in range(H) for x in range(W)]
image = Image.new("RGB", (W, H))
image.putdata(pixels)
sizes = [(13, 9), (16, 5), (6, 11), (14, 10)]
with open(pathlib.Path(__file__).with_name("resize.json"), "w") as f:
    json.dump({"size": [W, H], "pixels": pixels,
               "lanczos": [{"size": s, "pixels": list(image.resize(s, Image.LANCZOS).getdata())} for s in sizes]}, f)
