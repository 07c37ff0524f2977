"""An argument that a public function never reads is a promise without effect: each has a reason.

What an argument would change is honoured or refused by name; the table says of the rest why nothing
is lost. A line is a pattern of `file:function(argument)` and the reason.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import torchish

ROOT = Path(torchish.__file__).parent

REASONS = (
    # Python's and the project's own protocols: the caller gives what this callee need not look at.
    (r"\.__(new|exit|reduce_ex|deepcopy|get|repr|call|init_subclass)__\(", "Python's protocol"),
    (r"__torch_(function|dispatch)__\(types\)", "the override protocol"),
    (r"find_spec\(|load_ipython_extension|handle_starttag", "Python's and IPython's protocols"),
    (r"InlinePool", "the form of a loader's pools"),
    (r"^_(autograd|parallel|core|command|ops/shared|dynamo/capture)", "the engine's own calls"),
    (r"^func/(_pmap|_recorded|_modules)", "the engine's own calls"),
    (r"^distributed/_nodes", "the launcher's own calls"),
    (r"_step\(count\)|Coefficient\.astype", "the one form of update rules"),
    (r"\.(make_params\(flat_inputs\)|transform\(params\))", "the form of torchvision's transforms"),
    (r"log_abs_det_jacobian", "the form of transforms: x or y is enough"),
    (r"^fx/(interpreter|_symbolic_trace|traceback)", "methods of fx that programs override"),
    (r"collate_\w+_fn\(", "the form of collate functions"),
    (r"_flop\(", "the form of formulas of operations"),
    (r"include_infra_modes", "there are no modes of that kind"),
    (r"noop_mask|compute_mask\(t\)|BackwardHookFunction|EagerAndRecord|CompileCounter",
     "callbacks of a given form"),
    (r"always_wrap_policy|_auto_wrap_policy\(nonwrapped_numel\)", "the form of policies"),
    (r"Identity\.__init__", "PyTorch ignores them too"),
    (r"vision/", "torchvision ignores them too, or needs them for other backends"),
    # Where data lies and how it gets there: one kind of memory, copies that are programs.
    (r"\((non_blocking|pin_memory|device_ids|async_op|implicit)\)|is_pinned\(device\)|"
     r"pin_memory\(device\)", "copies do not block, and host memory is one kind"),
    (r"\((memory_format|layout)\)", "the layout asked for is the only one there is"),
    (r"^_devices/streams|accelerator|^cpu/|^cuda/|set_device_states", "queries and streams: data "
     "orders the work, one answer holds for all devices"),
    (r"LegacyType|set_flush_denormal|use_deterministic", "results are deterministic as they are"),
    # Choices between algorithms that give the same result.
    (r"cudnn_enable|\((sorted|stable|assume_unique|foreach|sparse_grad|only_inputs|driver)\)",
     "a choice of algorithm; the result is the one that is asked for, or a stronger one"),
    (r"native_(batch|group)_norm", "torch's operator takes them; inputs say them already"),
    (r"linear_cross_entropy\(options\)|segment_reduce\(indices\)", "how torch cuts the work"),
    (r"poisson_link|is_distributed|sparse_dim\(self\)|Variable.__new__\(volatile",
     "torch ignores them too"),
    (r"grad(grad)?check\(", "what they relax or sample is checked in full, in every case"),
    (r"to_dense\(masked_grad\)", "gradients go to the values that are stored"),
    (r"sparse_coo_tensor\(check_invariants\)", "invariants are always checked"),
    (r"softmax\(kwargs\)|equal\(|\.backward\(", "the depth of warnings, and what autograd ignores"),
    (r"expand\(|resize_\(|copy_\(|make_method\(out\)", "arguments that the method's wrapper reads"),
    # Compilation: XLA compiles, the user's Python runs.
    (r"^_dynamo/|^compiler/|^jit/|^export/|^fx/|^hub|^profiler|^library/|^utils/_trees",
     "of bytecode, TorchScript, printing and profilers; here the Python runs and XLA compiles"),
    (r"tensorboard", "names of collections, and weights that torch ignores too"),
    (r"datapipes|_foreach", "tracing of dataframes; files always come sorted"),
    # Processes.
    (r"\((pg_options|group_desc|group_name|device_id|multi_tenant|use_libuv|world_size)\)",
     "labels, and tuning of other transports"),
    (r"wait_all_ranks|_object_list\((device|use_batch)\)", "objects travel as pickles, at once"),
    (r"parallel_apply\(devices\)", "modules lie on their devices already"),
    (r"DistributedDataParallel.__init__\((check_reduction|batched_grad_copy)\)",
     "how gradients are copied into the one exchange"),
    (r"from_local\(|src_data_rank|grad_placements|tensor/parallel", "processes have whole tensors"),
    (r"reshard_after|set_\w+prefetch|set_unshard|set_is_last|set_post_optim|FSDPModule|"
     r"(backward_prefetch|forward_prefetch|limit_all_gathers|use_orig_params|recurse|with_grads|"
     r"optim_input)\)", "when parameters are gathered: XLA schedules, numbers do not depend on it"),
    (r"^distributed/checkpoint", "one process writes whole tensors into one file, everybody reads"),
    (r"join_hook\(kwargs\)|futures|safe_globals|RestrictedUnpickler", "nothing depends on them"),
)  # fmt: skip


def _only_raises(body: list[ast.stmt]) -> bool:
    """Whether a function refuses, or only declares."""
    rest = [b for b in body if not (isinstance(b, ast.Expr) and isinstance(b.value, ast.Constant))]
    return all(isinstance(b, ast.Raise | ast.Pass) for b in rest)


def _public(name: str) -> bool:
    return not name.startswith("_") or (name.startswith("__") and name.endswith("__"))


def _unread(function: ast.FunctionDef, is_method: bool) -> Iterator[str]:
    a = function.args
    names = [x.arg for x in (*a.posonlyargs, *a.args)]
    static = any("staticmethod" in ast.unparse(d) for d in function.decorator_list)
    names = names[1:] if is_method and not static else names
    names += [x.arg for x in (*a.kwonlyargs, a.vararg, a.kwarg) if x is not None]
    read = {n.id for b in function.body for n in ast.walk(b) if isinstance(n, ast.Name)}
    yield from (name for name in names if name not in read and not name.startswith("_"))


def unread_arguments(tree: ast.AST, prefix: tuple[str, ...] = ()) -> Iterator[str]:
    """`function(argument)` of what public functions never read."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef) and _public(node.name):
            yield from unread_arguments(node, (*prefix, node.name))
        elif isinstance(node, ast.FunctionDef) and _public(node.name):
            if not _only_raises(node.body):
                path = ".".join((*prefix, node.name))
                yield from (f"{path}({name})" for name in _unread(node, bool(prefix)))
        elif isinstance(node, ast.If | ast.Try | ast.With):
            yield from unread_arguments(node, prefix)


def test_no_argument_is_accepted_without_effect_or_reason() -> None:
    found = []
    for path in sorted(ROOT.rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        found += [f"{name}:{entry}" for entry in unread_arguments(ast.parse(path.read_text()))]
    assert len(found) > 100
    used = {pattern: False for pattern, _ in REASONS}
    missing = []
    for entry in found:
        match = next((p for p, _ in REASONS if re.search(p, entry)), None)
        if match is None:
            missing.append(entry)
        else:
            used[match] = True
    assert not missing, "read it, refuse it by name, or say why nothing is lost: " + str(missing)
    assert all(used.values()), [pattern for pattern, seen in used.items() if not seen]


def test_the_search_sees_what_is_not_read() -> None:
    code = (
        "class A:\n  def f(self, a, b, *, c=1, **rest):\n    return lambda: b\n  def _g(s, x): 1\n"
    )
    assert list(unread_arguments(ast.parse(code))) == ["A.f(a)", "A.f(c)", "A.f(rest)"]
    assert not list(unread_arguments(ast.parse("def f(a):\n  raise E")))
