"""What to use instead of the parts of PyTorch that torchish leaves out, by their path."""

from __future__ import annotations

_FLOATS = (
    "modules of float32 or bfloat16; torch.ao.quantization.quantize_dynamic takes linear layers"
)
_AREAS = (
    ("torch.onnx", "torch.export.export, whose programs carry StableHLO"),
    ("torch.ao", _FLOATS),
    ("torch.quantization", _FLOATS),
    ("torch.nn.quant", _FLOATS),
    ("torch.nn.qat", _FLOATS),
    ("torch.nn.intrinsic", _FLOATS),
    ("torch.distributed.rpc", "the collectives of torch.distributed"),
    ("torch.distributed.pipelining", "torch.distributed.fsdp, or tensor.parallel's plans"),
    ("torch.distributed.optim", "torch.distributed.optim.ZeroRedundancyOptimizer"),
    ("torch.distributed.nn", "the collectives of torch.distributed.nn.functional"),
    ("torch.distributed.fsdp", "torch.distributed.fully_shard"),
    ("torch.distributed.checkpoint", "torch.distributed.checkpoint.save and load of a folder"),
    ("torch.distributed.tensor", "torch.distributed.tensor.distribute_tensor"),
    ("torch.distributed", "the collectives of torch.distributed, or torch.distributed.shard"),
    ("torch._inductor", "nothing: XLA compiles every program"),
    ("torch._dynamo", "torch.compile; a backend that is a function is given fx graphs"),
    ("torch._functorch", "torch.func"),
    ("torch.fx", "torch.fx.symbolic_trace"),
    ("torch.jit", "plain Python: every program is compiled"),
    ("torch.masked", "a tensor and a mask, with torch.where"),
    ("torch.nested", "padded tensors and a mask"),
    ("torch.package", "torch.save of a state_dict"),
    ("torch.utils.cpp_extension", "a jax.ffi call in a torch.autograd.Function"),
    ("torch.utils.bottleneck", "torch.profiler"),
    ("torch.utils.mobile_optimizer", "torch.export.export"),
    ("torch.monitor", "torch.utils.tensorboard"),
    ("torch.cuda.CUDAGraph", "nothing: XLA compiles whole steps by itself"),
    ("torch.cuda.graph", "nothing: XLA compiles whole steps by itself"),
    ("torch.cuda.make_graphed", "nothing: XLA compiles whole steps by itself"),
    ("torch.cuda", "jax's own tools for the device"),
)


def nearest(path: str) -> str:
    """The nearest way to do without `path`, or an empty text."""
    for start, way in _AREAS:
        if path.startswith(start):
            return way
    return ""
