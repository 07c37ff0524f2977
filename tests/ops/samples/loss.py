"""Samples of losses."""

from __future__ import annotations

import numpy as np

from tests.ops.sampling import S, f, i, pos, unit

_A, _B = f(3, 4), f(3, 4)
_CLASSES = np.array([1, 3, 0])
_SIGNS = np.array([[1, -1, 1, 1], [-1, -1, 1, -1], [1, 1, 1, -1]])
_LOG = np.log(unit(5, 2, 4) / 4)
_LABELS = np.array([[1, 2], [3, 3]])
_STEPS, _LENGTHS = np.array([5, 4]), np.array([2, 1])


def _all(*args: object, **kwargs: object) -> list:
    return [S(*args, reduction=r, **kwargs) for r in ("mean", "sum", "none")]


SAMPLES = {
    "nn.functional.mse_loss": [
        *_all(_A, _B),
        S(_A, f(4)).warns(),
        S(_A, f(3)).warns(),
        S(_A, _B, size_average=False).warns(),
        S(_A, _B, reduction="other"),
        S(i(3), i(3)),
    ],
    "nn.functional.l1_loss": _all(_A, _B),
    "nn.functional.smooth_l1_loss": [*_all(_A, _B), S(_A, _B, beta=0.3), S(_A, _B, beta=-1.0)],
    "nn.functional.huber_loss": [*_all(_A, _B), S(_A, _B, delta=0.3), S(_A, _B, delta=0.0)],
    "nn.functional.kl_div": [
        S(_A, unit(3, 4), reduction="batchmean"),
        S(_A, unit(3, 4), reduction="sum", log_target=True),
        S(_A, unit(3, 4)).warns(),
    ],
    "torch.kl_div": [S(_A, unit(3, 4)).no_forms()],
    "nn.functional.poisson_nll_loss": [
        *_all(_A, pos(3, 4)),
        S(pos(3, 4), 5 * pos(3, 4), log_input=False, full=True),
    ],
    "torch.poisson_nll_loss": [S(_A, pos(3, 4), True, False, 1e-8, 2).no_forms()],
    "nn.functional.gaussian_nll_loss": [
        S(_A, _B, pos(3, 4)),
        S(_A, _B, pos(3, 1), full=True, reduction="none"),
        S(_A, _B, pos(3), reduction="sum"),
    ],
    "nn.functional.binary_cross_entropy": [
        *_all(unit(3, 4), unit(3, 4)),
        S(np.array([0.0, 1.0, 0.0], np.float32), np.array([0.0, 1.0, 1.0], np.float32)).no_grad(),
        S(unit(3, 4), unit(3, 4), weight=pos(4)).no_grad(),
        S(unit(3) + 2, unit(3)),
        S(unit(3), unit(2)),
    ],
    "nn.functional.binary_cross_entropy_with_logits": [
        *_all(_A, unit(3, 4)),
        S(_A, unit(3, 4), weight=pos(4), pos_weight=pos(4)).no_grad(),
        S(_A, unit(3)),
    ],
    "torch.binary_cross_entropy_with_logits": [S(_A, unit(3, 4)).no_forms()],
    "nn.functional.nll_loss": [
        *_all(_A, _CLASSES),
        S(_A, _CLASSES, ignore_index=3),
        S(_A, _CLASSES, pos(4)).no_grad(),
        S(f(2, 4, 3), i(2, 3, low=0, high=4)),
        S(f(2, 4, 3, 2), i(2, 3, 2, low=0, high=4), reduction="none"),
        S(f(4), np.array(2)),
        S(_A, np.array([0, 1, 4])),
        S(_A, np.array([0, 1])),
        S(_A, f(3)),
    ],
    "nn.functional.cross_entropy": [
        *_all(_A, _CLASSES),
        S(_A, _CLASSES, label_smoothing=0.1, ignore_index=3),
        S(_A, _CLASSES, pos(4), label_smoothing=0.1).no_grad(),
        S(f(2, 4, 3), i(2, 3, low=0, high=4), label_smoothing=0.2, reduction="sum"),
        S(_A, unit(3, 4)),
        S(_A, unit(3, 4), label_smoothing=0.1, reduction="none"),
        S(f(4), np.array(2)),
        S(_A, np.array([0, 1, 4])),
        S(_A, np.array([-100, -100, -100])),
        S(_A, _CLASSES, label_smoothing=2.0),
    ],
    "nn.functional.linear_cross_entropy": [
        S(f(3, 5), f(4, 5), _CLASSES, linear_bias=f(4)),
        S(f(5), f(4, 5), np.array(1), label_smoothing=0.1),
    ],
    "nn.functional.cosine_embedding_loss": [
        *_all(_A, _B, np.array([1, -1, 1]), margin=0.2),
        S(f(4), f(4), np.array(-1)),
        S(_A, f(3, 5), np.array([1, -1, 1])),
    ],
    "torch.cosine_embedding_loss": [S(_A, _B, np.array([1, -1, 1]), 0.2, 1).no_forms()],
    "nn.functional.margin_ranking_loss": [
        *_all(_A, _B, _SIGNS, margin=0.2),
        S(f(3), f(3), f(3, 1)),
    ],
    "torch.margin_ranking_loss": [S(_A, _B, _SIGNS, 0.2, 2).no_forms()],
    "nn.functional.hinge_embedding_loss": _all(_A, _SIGNS, margin=0.3),
    "torch.hinge_embedding_loss": [S(_A, _SIGNS).no_forms()],
    "nn.functional.soft_margin_loss": _all(_A, _SIGNS),
    "nn.functional.multilabel_soft_margin_loss": [
        *_all(_A, unit(3, 4)),
        S(_A, unit(3, 4), weight=pos(4)),
    ],
    "nn.functional.multi_margin_loss": [
        *_all(_A, _CLASSES),
        S(_A, _CLASSES, p=2, margin=0.7),
        S(_A, _CLASSES, weight=pos(4)).no_grad(),
        S(f(4), np.array(1)),
        S(_A, np.array([0, 1, 4])),
        S(_A, _CLASSES, p=3),
    ],
    "nn.functional.multilabel_margin_loss": [
        *_all(_A, np.array([[0, 1, -1, 2], [-1, 0, 1, 2], [3, 2, 1, 0]])),
        S(f(4), np.array([3, -1, 1, 1])),
        S(_A, np.array([[0, 4, -1, 2]] * 3)),
    ],
    "nn.functional.triplet_margin_loss": [
        *[s.no_half() for s in _all(_A, _B, f(3, 4))],
        S(_A, _B, f(3, 4), swap=True, p=1.0),
        S(_A, f(4), _B),
    ],
    "torch.triplet_margin_loss": [S(_A, _B, f(3, 4)).no_forms()],
    "nn.functional.triplet_margin_with_distance_loss": [S(_A, _B, f(3, 4), swap=True)],
    "nn.functional.ctc_loss": [
        *_all(_LOG, _LABELS, _STEPS, _LENGTHS),
        S(_LOG, np.array([1, 2, 3]), (5, 4), (2, 1), zero_infinity=True),
        S(_LOG, _LABELS, np.array([2, 1]), np.array([2, 2]), zero_infinity=True),
        S(_LOG[:, 0], np.array([1, 2]), np.array(5), np.array(2), blank=3),
        S(_LOG, _LABELS, np.array([9, 4]), _LENGTHS),
        S(_LOG, _LABELS, _STEPS, _LENGTHS, blank=7),
    ],
    "torch.ctc_loss": [S(_LOG, _LABELS, _STEPS, _LENGTHS).no_forms()],
}
