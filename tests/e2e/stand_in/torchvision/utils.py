"""A picture of a batch, without a border."""

import torch
from PIL import Image


def save_image(tensor, path, normalize=False):
    assert normalize
    low, high = tensor.min(), tensor.max()
    pixels = ((tensor - low) / (high - low) * 255).to(torch.uint8)
    Image.fromarray(torch.cat(list(pixels[:, 0]), 1).numpy()).save(path)
