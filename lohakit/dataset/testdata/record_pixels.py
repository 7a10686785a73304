"""Records what PIL and OpenCV make of small images, as kohya's trainer uses them: scaling and colour augmentation. Run by `make fixtures`."""
import json
import pathlib

import cv2
import numpy as np
from PIL import Image

W, H = 7, 5
pixels = [((37 * x * x + 11 * y) % 256, (91 * y + 5 * x) % 256, 255 if (x + y) % 3 else 0) for y in range(H) for x in range(W)]
image = Image.new("RGB", (W, H))
image.putdata(pixels)
array = np.array(image)


def picture(size, values):
    return {"size": list(size), "pixels": np.asarray(values).reshape(-1, 3).tolist()}


def lanczos(size):
    return picture(size, image.resize(size, Image.LANCZOS))


def area(size):
    return picture(size, cv2.resize(array, size, interpolation=cv2.INTER_AREA))


def named(name, size):
    """resize_image of kohya's library/utils.py with that name."""
    if name == "box":
        return {"name": name, **picture(size, image.resize(size, Image.BOX))}
    method = {"nearest": cv2.INTER_NEAREST_EXACT, "bilinear": cv2.INTER_LINEAR, "bicubic": cv2.INTER_CUBIC, "area": cv2.INTER_AREA}[name]
    return {"name": name, **picture(size, cv2.resize(array, size, interpolation=method))}


def hue(shift):
    """The shift is in OpenCV's 180 steps of hue."""
    hsv = cv2.cvtColor(array, cv2.COLOR_RGB2HSV)
    hsv[:, :, 0] = (hsv[:, :, 0].astype(int) + shift) % 180
    return {"by": shift, **picture((W, H), cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB))}


def gamma(by):
    return {"by": by, **picture((W, H), np.clip(array**by, 0, 255).astype(np.uint8))}


with open(pathlib.Path(__file__).with_name("pixels.json"), "w") as f:
    json.dump({**picture((W, H), array),
               "lanczos": [lanczos(s) for s in [(13, 9), (16, 5), (6, 11), (14, 10)]],
               "area": [area(s) for s in [(6, 4), (7, 3), (3, 5), (2, 2), (1, 1)]],
               "named": [named(n, s) for n in ["box", "nearest", "bilinear", "bicubic", "area"] for s in [(13, 9), (3, 4), (9, 3), (14, 10), (4, 2)]],
               "hue": [hue(s) for s in [8, -8, 3, -1]],
               "gamma": [gamma(g) for g in [0.95, 0.98, 1.05]]}, f)
