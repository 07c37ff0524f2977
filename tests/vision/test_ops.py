"""torchvision.ops against definitions written out in loops, and against PyTorch's gradients."""

import itertools
import math

import numpy as np
import pytest
import torch

import torchish
from torchish.vision import ops

RNG = np.random.default_rng(0)


def boxes(n, size=40.0):
    low = RNG.uniform(0, size, (n, 2))
    return np.concatenate([low, low + RNG.uniform(1, size / 2, (n, 2))], 1).astype(np.float32)


def regions(n, batch, size):
    return np.concatenate([RNG.integers(0, batch, (n, 1)), boxes(n, size)], 1).astype(np.float32)


def iou(a, b):
    w = max(min(a[2], b[2]) - max(a[0], b[0]), 0)
    h = max(min(a[3], b[3]) - max(a[1], b[1]), 0)
    inter = w * h
    return inter / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inter)


def greedy(corners, scores, threshold):
    kept = []
    for i in np.argsort(-scores, kind="stable"):
        if all(iou(corners[k], corners[i]) <= threshold for k in kept):
            kept.append(int(i))
    return kept


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.7])
def test_nms(threshold):
    corners, scores = boxes(150), RNG.random(150).astype(np.float32).round(1)
    found = ops.nms(torchish.from_numpy(corners), torchish.from_numpy(scores), threshold)
    assert found.dtype == torchish.int64
    assert found.tolist() == greedy(corners.astype(np.float64), scores, threshold)


def test_nms_of_nothing_and_of_other_shapes():
    empty = ops.nms(torchish.zeros(0, 4), torchish.zeros(0), 0.5)
    assert empty.shape == (0,) and empty.dtype == torchish.int64
    with pytest.raises(RuntimeError, match="boxes should be a 2d tensor, got 1D"):
        ops.nms(torchish.zeros(4), torchish.zeros(1), 0.5)
    with pytest.raises(RuntimeError, match="dimension 0, got 2 and 1"):
        ops.nms(torchish.zeros(2, 4), torchish.zeros(1), 0.5)
    with pytest.raises(RuntimeError, match="same type as scores"):
        ops.nms(torchish.zeros(1, 4), torchish.zeros(1).double(), 0.5)


def test_batched_nms_both_ways():
    corners, scores = boxes(120), RNG.permutation(120).astype(np.float32)
    kinds = RNG.integers(0, 3, 120)
    best = sorted(
        (
            int(members[k])
            for kind in range(3)
            for members in [np.nonzero(kinds == kind)[0]]
            for k in greedy(corners[members], scores[members], 0.4)
        ),
        key=lambda i: -scores[i],
    )
    arguments = [torchish.from_numpy(x) for x in (corners, scores, kinds)]
    assert ops.batched_nms(*arguments, 0.4).tolist() == best
    assert ops.boxes._batched_nms_vanilla(*arguments, 0.4).tolist() == best


def area(b):
    return (b[2] - b[0]) * (b[3] - b[1])


def overlaps(a, b):
    """IoU, generalized, distance and complete, of one pair."""
    plain = iou(a, b)
    around = [min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])]
    union = (area(a) + area(b)) / (1 + plain)
    apart = sum((a[k] + a[k + 2] - b[k] - b[k + 2]) ** 2 / 4 for k in (0, 1))
    diagonal = sum((around[k + 2] - around[k]) ** 2 for k in (0, 1))
    distance = plain - apart / diagonal
    turn = [math.atan((x[2] - x[0]) / (x[3] - x[1])) for x in (a, b)]
    v = 4 / math.pi**2 * (turn[0] - turn[1]) ** 2
    complete = distance - v * v / (1 - plain + v + 1e-7)
    return plain, plain - (area(around) - union) / area(around), distance, complete


def test_overlaps_and_their_losses():
    first, second = boxes(5), boxes(4)
    expected = np.array([[overlaps(a, b) for b in second] for a in first])
    pair = torchish.from_numpy(first), torchish.from_numpy(second)
    names = ("box_iou", "generalized_box_iou", "distance_box_iou", "complete_box_iou")
    for k, name in enumerate(names):
        found = getattr(ops, name)(*pair).numpy()
        np.testing.assert_allclose(found, expected[..., k], atol=1e-5)
    losses = ("generalized_box_iou_loss", "distance_box_iou_loss", "complete_box_iou_loss")
    for k, name in enumerate(losses, 1):
        mine = torchish.from_numpy(first[:4].copy()).requires_grad_()
        loss = getattr(ops, name)(mine, pair[1], reduction="mean")
        wanted = 1 - np.diagonal(expected[..., k])
        np.testing.assert_allclose(float(loss), wanted.mean(), atol=1e-5)
        loss.backward()
        assert bool(mine.grad.isfinite().all()) and float(mine.grad.abs().sum()) > 0
        with pytest.raises(ValueError, match="Invalid Value for arg 'reduction'"):
            getattr(ops, name)(*pair[:1], *pair[:1], reduction="other")


def test_formats_go_there_and_back():
    corners = torchish.from_numpy(boxes(6))
    for fmt in ("xywh", "cxcywh"):
        there = ops.box_convert(corners, "xyxy", fmt)
        np.testing.assert_allclose(ops.box_area(there, fmt), ops.box_area(corners), rtol=1e-4)
        back = ops.box_convert(there, fmt, "xyxy")
        np.testing.assert_allclose(back.numpy(), corners.numpy(), atol=1e-4)
    turned = torchish.tensor([[10.0, 12.0, 6.0, 4.0, 30.0], [5.0, 5.0, 2.0, 8.0, -45.0]])
    for a, b in itertools.permutations(("cxcywhr", "xywhr", "xyxyxyxy"), 2):
        there = ops.box_convert(ops.box_convert(turned, "cxcywhr", a), a, b)
        back = ops.box_convert(there, b, "cxcywhr")
        np.testing.assert_allclose(back.numpy(), turned.numpy(), atol=1e-3)
    whole = ops.box_convert(torchish.tensor([[10, 12, 6, 4, 30]]), "cxcywhr", "xywhr")
    assert whole.tolist() == [[6, 12, 6, 4, 30]] and whole.dtype == torchish.int64
    with pytest.raises(ValueError, match="Unsupported Bounding Box Conversions"):
        ops.box_convert(corners, "xyxy", "yxyx")
    with pytest.raises(NotImplementedError):
        ops.box_convert(corners, "xyxy", "cxcywhr")


def test_overlap_of_rotated_boxes():
    one = torchish.tensor([[0.0, 0.0, 2.0, 2.0, 0.0], [0.0, 0.0, 4.0, 2.0, 90.0]])
    other = torchish.tensor([[0.0, 0.0, 2.0, 2.0, 45.0], [1.0, 1.0, 2.0, 2.0, 0.0]])
    octagon = 8 * (math.sqrt(2) - 1)
    expected = [[octagon / (8 - octagon), 1 / 7], [0.4226497, 2 / 10]]
    found = ops.box_iou(one, other, "cxcywhr").numpy()
    np.testing.assert_allclose(found[0], expected[0], atol=1e-5)
    assert abs(found[1, 1] - expected[1][1]) < 1e-5
    np.testing.assert_allclose(np.diag(ops.box_iou(one, one, "cxcywhr").numpy()), 1, atol=1e-5)


def test_small_utilities():
    corners = torchish.tensor([[-5.0, 2.0, 3.0, 50.0], [1.0, 1.0, 1.5, 9.0]])
    clipped = ops.clip_boxes_to_image(corners, (20, 10))
    assert clipped.tolist() == [[0, 2, 3, 20], [1, 1, 1.5, 9]]
    assert ops.remove_small_boxes(corners, 1.0).tolist() == [0]
    masks = torchish.zeros(2, 6, 7, dtype=torchish.bool)
    masks[0, 1:4, 2:6] = True
    assert ops.masks_to_boxes(masks).tolist() == [[2, 1, 5, 3], [0, 0, 0, 0]]


def bilinear(image, y, x):
    height, width = image.shape[-2:]
    if y < -1 or y > height or x < -1 or x > width:
        return image[..., 0, 0] * 0
    y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
    y0, x0 = int(y), int(x)
    y1, x1 = min(y0 + 1, height - 1), min(x0 + 1, width - 1)
    dy, dx = y - y0, x - x0
    top = image[..., y0, x0] * (1 - dx) + image[..., y0, x1] * dx
    return top * (1 - dy) + (image[..., y1, x0] * (1 - dx) + image[..., y1, x1] * dx) * dy


def loops_align(x, rois, bins, scale, sampling, aligned, by_position=False):
    """RoIAlign of torch tensors by its definition; position-sensitive if asked."""
    out = []
    for roi in rois.tolist():
        shift = 0.5 if aligned else 0.0
        x1, y1, x2, y2 = (v * scale - shift for v in roi[1:])
        wide, high = x2 - x1, y2 - y1
        if not aligned:
            wide, high = max(wide, 1.0), max(high, 1.0)
        ny = sampling if sampling > 0 else math.ceil(high / bins[0])
        nx = sampling if sampling > 0 else math.ceil(wide / bins[1])
        image = x[int(roi[0])]
        if by_position:
            image = image.reshape(-1, *bins, *image.shape[1:])
        for i, j in itertools.product(range(bins[0]), range(bins[1])):
            source = image[:, i, j] if by_position else image
            total = 0
            for a, b in itertools.product(range(ny), range(nx)):
                y = y1 + (i + (a + 0.5) / ny) * high / bins[0]
                total = total + bilinear(source, y, x1 + (j + (b + 0.5) / nx) * wide / bins[1])
            out.append(total / max(ny * nx, 1))
    return torch.stack(out).reshape(len(rois), *bins, -1).permute(0, 3, 1, 2)


def both_ways(mine, theirs, *arrays):
    """Results and gradients of the first argument agree."""
    ours = [torchish.from_numpy(a.copy()) for a in arrays]
    reference = [torch.from_numpy(a.copy()) for a in arrays]
    ours[0].requires_grad_()
    reference[0].requires_grad_()
    found, expected = mine(*ours), theirs(*reference)
    assert tuple(found.shape) == tuple(expected.shape)
    np.testing.assert_allclose(found.detach().numpy(), expected.detach().numpy(), atol=2e-5)
    weight = np.cos(np.arange(expected.numel())).reshape(expected.shape).astype(np.float32)
    (found * torchish.from_numpy(weight)).sum().backward()
    (expected * torch.from_numpy(weight)).sum().backward()
    np.testing.assert_allclose(ours[0].grad.numpy(), reference[0].grad.numpy(), atol=1e-4)


@pytest.mark.parametrize("sampling,aligned,size", [(2, False, 16), (-1, True, 16), (2, True, 60)])
def test_roi_align(sampling, aligned, size):
    x = RNG.normal(size=(2, 3, size, size - 3)).astype(np.float32)
    rois = regions(5, 2, size * 1.1)
    both_ways(
        lambda a, r: ops.roi_align(a, r, (2, 3), 0.8, sampling, aligned),
        lambda a, r: loops_align(a, r, (2, 3), 0.8, sampling, aligned),
        x,
        rois,
    )


def test_ps_roi_align():
    x = RNG.normal(size=(2, 8, 12, 10)).astype(np.float32)
    both_ways(
        lambda a, r: ops.ps_roi_align(a, r, 2, 0.5, 2),
        lambda a, r: loops_align(a, r, (2, 2), 0.5, 2, True, by_position=True),
        x,
        regions(4, 2, 20),
    )


def loops_pool(x, rois, bins, scale, by_position):
    """Pooling of whole pixels: greatest values, or means of channels by position."""
    height, width = x.shape[-2:]
    out = []
    for roi in rois.tolist():
        x1, y1, x2, y2 = (math.floor(v * scale + 0.5) for v in roi[1:])
        extra = 0 if by_position else 1
        steps = max(y2 - y1 + extra, 1) / bins[0], max(x2 - x1 + extra, 1) / bins[1]
        image = x[int(roi[0])]
        if by_position:
            image = image.reshape(-1, *bins, height, width)
        last = (height - 1, width - 1) if by_position else (height, width)
        for cell in itertools.product(range(bins[0]), range(bins[1])):
            window = []
            for k, start, step, end in zip(cell, (y1, x1), steps, last, strict=True):
                low = min(max(math.floor(k * step) + start, 0), end)
                window.append(slice(low, min(max(math.ceil((k + 1) * step) + start, 0), end)))
            part = (image[:, cell[0], cell[1]] if by_position else image)[:, *window].flatten(1)
            if part.shape[1] == 0:
                out.append(image.flatten(1)[:, 0] * 0)
            else:
                out.append(part.mean(1) if by_position else part.max(1)[0])
    return torch.stack(out).reshape(len(rois), *bins, -1).permute(0, 3, 1, 2)


@pytest.mark.parametrize("name", ["roi_pool", "ps_roi_pool"])
def test_roi_pools(name):
    x = RNG.normal(size=(2, 8, 11, 9)).astype(np.float32)
    both_ways(
        lambda a, r: getattr(ops, name)(a, r, 2, 0.5),
        lambda a, r: loops_pool(a, r, (2, 2), 0.5, name[0] == "p"),
        x,
        regions(6, 2, 20),
    )


def test_regions_are_checked():
    x = torchish.zeros(1, 2, 4, 4)
    with pytest.raises(AssertionError, match="not correct as Tensor"):
        ops.roi_align(x, torchish.zeros(1, 4), 2)
    with pytest.raises(RuntimeError, match="same dtype"):
        ops.roi_pool(x, torchish.zeros(1, 5).double(), 2)
    with pytest.raises(RuntimeError, match="multiple of pooling height"):
        ops.ps_roi_pool(x, torchish.zeros(1, 5), 2)
    assert ops.roi_align(x, [torchish.zeros(0, 4)], 2).shape == (0, 2, 2, 2)
    assert ops.RoIAlign(2, 0.5, 2)(x, torchish.zeros(3, 5)).shape == (3, 2, 2, 2)


def loops_deform(x, offset, weight, mask, stride, padding, dilation, groups):
    n, _, height, width = x.shape
    out_h, out_w = offset.shape[-2:]
    kh, kw = weight.shape[-2:]
    parts = offset.shape[1] // (2 * kh * kw)
    per_part, per_group = x.shape[1] // parts, weight.shape[1]
    padded = torch.nn.functional.pad(x, (1, 1, 1, 1))  # so that edges fade to zero
    columns = x.new_zeros(n, x.shape[1], kh * kw, out_h, out_w)
    rows = []
    for b, c, t in itertools.product(range(n), range(x.shape[1]), range(kh * kw)):
        p = c // per_part
        for i, j in itertools.product(range(out_h), range(out_w)):
            at = 2 * (p * kh * kw + t)
            y = i * stride - padding + t // kw * dilation + offset[b, at, i, j]
            z = j * stride - padding + t % kw * dilation + offset[b, at + 1, i, j]
            value = x.new_zeros(())
            if -1 < y < height and -1 < z < width:
                y0, z0 = math.floor(y.detach()), math.floor(z.detach())
                for dy, dz in itertools.product((0, 1), repeat=2):
                    share = (1 - abs(y - y0 - dy)) * (1 - abs(z - z0 - dz))
                    value = value + share * padded[b, c, y0 + dy + 1, z0 + dz + 1]
            rows.append(value * (1 if mask is None else mask[b, p * kh * kw + t, i, j]))
    columns = torch.stack(rows).reshape(n, groups, per_group * kh * kw, out_h, out_w)
    kernel = weight.reshape(groups, -1, per_group * kh * kw)
    return torch.einsum("goc,bgchw->bgohw", kernel, columns).reshape(n, -1, out_h, out_w)


def test_deform_conv2d():
    x = RNG.normal(size=(1, 4, 5, 4)).astype(np.float32)
    offset = RNG.normal(size=(1, 2 * 2 * 4, 3, 2)).astype(np.float32)
    weight = RNG.normal(size=(2, 2, 2, 2)).astype(np.float32)
    mask = RNG.random((1, 2 * 4, 3, 2)).astype(np.float32)
    for order in ((0, 1, 2, 3), (1, 0, 2, 3)):
        arrays = [(x, offset, weight, mask)[k] for k in order]

        def mine(*given, order=order):
            a, o, w, m = (given[order.index(k)] for k in range(4))
            return ops.deform_conv2d(a, o, w, None, 2, 1, 2, m)

        def theirs(*given, order=order):
            a, o, w, m = (given[order.index(k)] for k in range(4))
            return loops_deform(a, o, w, m, 2, 1, 2, 2)

        both_ways(mine, theirs, *arrays)
    with pytest.raises(RuntimeError, match="offset output dims"):
        ops.deform_conv2d(*(torchish.from_numpy(a) for a in (x, offset, weight)))
    layer = ops.DeformConv2d(4, 2, 2, stride=2, padding=1, dilation=2, groups=2)
    plain = torchish.nn.functional.conv2d(
        torchish.from_numpy(x), layer.weight, layer.bias, 2, 1, 2, groups=2
    )
    still = layer(torchish.from_numpy(x), torchish.zeros(1, 8, 3, 2))
    np.testing.assert_allclose(still.detach().numpy(), plain.detach().numpy(), atol=1e-5)
    assert "padding=(1, 1), dilation=(2, 2), groups=2" in repr(layer)


def test_multi_scale_roi_align_reads_the_level_of_each_size():
    maps = {str(i): torchish.full((1, 2, 64 >> i, 64 >> i), float(i)) for i in range(4)}
    pool = ops.MultiScaleRoIAlign(list(maps), 3, 2)
    corners = torchish.tensor([[8.0, 8.0, 40.0, 40.0], [0.0, 0.0, 250.0, 250.0]])
    found = pool(maps, [corners], [(256, 256)])
    assert pool.scales == [0.25, 0.125, 0.0625, 0.03125]
    assert found[:, 0, 1, 1].tolist() == [0.0, 2.0]
    adaptive = ops.MultiScaleRoIAlign(list(maps), 3, -1)(maps, [corners], [(256, 256)])
    assert adaptive[:, 0, 1, 1].tolist() == [0.0, 2.0]


def test_feature_pyramid():
    pyramid = ops.FeaturePyramidNetwork([4, 6], 5, ops.feature_pyramid_network.LastLevelMaxPool())
    out = pyramid({"a": torchish.zeros(1, 4, 8, 8), "b": torchish.zeros(1, 6, 4, 4)})
    assert {k: tuple(v.shape) for k, v in out.items()} == {
        "a": (1, 5, 8, 8), "b": (1, 5, 4, 4), "pool": (1, 5, 2, 2),
    }  # fmt: skip


def test_focal_loss():
    logits, targets = RNG.normal(size=(3, 4)), (RNG.random((3, 4)) > 0.5).astype(np.float64)
    p = 1 / (1 + np.exp(-logits))
    p_t = np.where(targets == 1, p, 1 - p)
    expected = -np.where(targets == 1, 0.25, 0.75) * (1 - p_t) ** 2 * np.log(p_t)
    found = ops.sigmoid_focal_loss(torchish.from_numpy(logits), torchish.from_numpy(targets))
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5)
    with pytest.raises(ValueError, match="Invalid alpha"):
        ops.sigmoid_focal_loss(torchish.zeros(1), torchish.zeros(1), alpha=2)


def test_dropping_layers_draw_as_torch_does():
    x = torchish.ones(6, 2, 7, 7)
    torch.manual_seed(3)
    keep = torch.empty(6, 1, 1, 1).bernoulli_(0.6) / 0.6
    torchish.manual_seed(3)
    found = ops.stochastic_depth(x, 0.4, "row")
    np.testing.assert_allclose(found.numpy(), keep.expand(6, 2, 7, 7).numpy(), rtol=1e-6)
    assert ops.StochasticDepth(0.4, "batch").eval()(x) is x
    torch.manual_seed(3)
    gamma = 0.1 * 49 / (9 * 25)
    noise = torch.nn.functional.pad(torch.empty(6, 2, 5, 5).bernoulli_(gamma), [1] * 4)
    keep = 1 - torch.nn.functional.max_pool2d(noise, 3, 1, 1)
    torchish.manual_seed(3)
    found = ops.drop_block2d(x, 0.1, 3)
    expected = keep * keep.numel() / (1e-6 + keep.sum())
    np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-5)
    cube = ops.DropBlock3d(0.2, 3)(torchish.ones(1, 1, 4, 4, 4))
    assert cube.shape == (1, 1, 4, 4, 4)
    with pytest.raises(ValueError, match="block size should be odd"):
        ops.drop_block2d(x, 0.1, 2)


def test_blocks():
    frozen = ops.FrozenBatchNorm2d(3)
    frozen.load_state_dict({**torchish.nn.BatchNorm2d(3).state_dict()})
    x = torchish.from_numpy(RNG.normal(size=(2, 3, 5, 5)).astype(np.float32))
    np.testing.assert_allclose(frozen(x).numpy(), x.numpy() / np.sqrt(1 + 1e-5), rtol=1e-5)
    assert not list(frozen.parameters())
    conv = ops.Conv2dNormActivation(3, 4, (3, 5), dilation=2)
    assert conv(x).shape == (2, 4, 5, 5) and conv[0].bias is None
    assert ops.Conv3dNormActivation(1, 2)(torchish.zeros(1, 1, 3, 3, 3)).shape == (1, 2, 3, 3, 3)
    assert ops.MLP(5, [7, 2], dropout=0.1)(x).shape == (2, 3, 5, 2)
    assert ops.SqueezeExcitation(3, 1)(x).shape == x.shape
    assert ops.Permute([0, 2, 3, 1])(x).shape == (2, 5, 5, 3)
