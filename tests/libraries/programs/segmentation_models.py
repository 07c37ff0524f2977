"""Three decoders on tiny encoders, trained on five losses, and the scores of their masks."""

import segmentation_models_pytorch as smp
import torch

torch.manual_seed(0)
# Smaller ones leave batch norm two values a channel: all rounding.
x = torch.randn(2, 3, 64, 64)
mask = (torch.rand(2, 1, 64, 64) > 0.6).float()
for make in (smp.Unet, smp.FPN, smp.Linknet):
    torch.manual_seed(1)
    more = {"decoder_channels": (16, 8, 8)} if make is smp.Unet else {}
    depth = 5 if make is smp.FPN else 3
    model = make(
        "resnet18", encoder_weights=None, in_channels=3, classes=1, encoder_depth=depth, **more
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    for loss in (smp.losses.DiceLoss("binary"), smp.losses.FocalLoss("binary")):
        value = loss(model(x), mask)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        print(value.item())
out = torch.randn(2, 1, 64, 64)
for loss in (
    smp.losses.JaccardLoss("binary"), smp.losses.LovaszLoss("binary"),
    smp.losses.TverskyLoss("binary"), smp.losses.SoftBCEWithLogitsLoss(smooth_factor=0.1),
    smp.losses.MCCLoss(),
):  # fmt: skip
    print(loss(out, mask).item())
counts = smp.metrics.get_stats(out.sigmoid(), mask.long(), mode="binary", threshold=0.5)
for score in (smp.metrics.iou_score, smp.metrics.f1_score, smp.metrics.recall):
    print(score(*counts, reduction="micro").item(), score(*counts, reduction="macro").item())
