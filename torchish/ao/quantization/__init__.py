"""``torch.ao.quantization``: dynamic quantisation of linear layers; the rest is refused by name."""

from .quantize import (
    QConfig as QConfig,
    default_dynamic_qconfig as default_dynamic_qconfig,
    float16_dynamic_qconfig as float16_dynamic_qconfig,
    per_channel_dynamic_qconfig as per_channel_dynamic_qconfig,
    quantize_dynamic as quantize_dynamic,
)
