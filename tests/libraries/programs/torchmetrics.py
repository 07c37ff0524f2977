"""Metrics of classes, numbers, pictures, retrieval and audio, accumulated over batches."""

import torch
import torchmetrics as tm
from torchmetrics import audio, classification as cls, image, retrieval, text

torch.manual_seed(0)
task = {"task": "multiclass", "num_classes": 4}
several = tm.MetricCollection([
    tm.Accuracy(**task), tm.F1Score(**task, average="macro"), tm.AUROC(**task),
    tm.CalibrationError(**task), tm.CohenKappa(**task), tm.MatthewsCorrCoef(**task),
    tm.AveragePrecision(**task), cls.MulticlassHingeLoss(4),
])  # fmt: skip
numbers = tm.MetricCollection([
    tm.MeanSquaredError(), tm.R2Score(), tm.PearsonCorrCoef(), tm.SpearmanCorrCoef(),
    tm.ExplainedVariance(), tm.MeanAbsolutePercentageError(), tm.KendallRankCorrCoef(),
])  # fmt: skip
for _ in range(3):
    several.update(torch.randn(16, 4).softmax(-1), torch.randint(0, 4, (16,)))
    a = torch.randn(16)
    numbers.update(a, a + 0.3 * torch.randn(16))
for found in (several.compute(), numbers.compute()):
    print(*[found[name].item() for name in sorted(found)])
table = tm.ConfusionMatrix(**task)
print(*table(torch.randint(0, 4, (20,)), torch.randint(0, 4, (20,))).flatten().tolist())
a = torch.rand(2, 3, 32, 32)
b = (a + 0.1 * torch.randn_like(a)).clamp(0, 1)
for metric in (image.PeakSignalNoiseRatio(data_range=1.0), image.TotalVariation(),
               image.StructuralSimilarityIndexMeasure(data_range=1.0)):  # fmt: skip
    print((metric(a) if isinstance(metric, image.TotalVariation) else metric(a, b)).item())
scores, hits, queries = torch.rand(12), torch.randint(0, 2, (12,)), torch.arange(12) // 4
for metric in (retrieval.RetrievalMAP(), retrieval.RetrievalNormalizedDCG(top_k=3)):
    print(metric(scores, hits, indexes=queries).item())
print(
    audio.ScaleInvariantSignalDistortionRatio()(torch.randn(2, 50), torch.randn(2, 50)).item(),
    text.WordErrorRate()(["a b c"], ["a c"]).item(),
    tm.MeanMetric()(torch.tensor([1.0, 2])).item(),
)
