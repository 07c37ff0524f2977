"""Images and geometry: filters, warps, colours, seeded augmentation, a homography fitted."""

import kornia
import torch
from kornia import augmentation as aug

torch.manual_seed(0)
x = torch.rand(2, 3, 16, 16, requires_grad=True)
found = [
    kornia.filters.gaussian_blur2d(x, (3, 3), (1.0, 1.0)), kornia.filters.sobel(x),
    kornia.filters.median_blur(x, (3, 3)), kornia.filters.laplacian(x, 3),
    kornia.color.rgb_to_hsv(x), kornia.color.rgb_to_lab(x), kornia.color.rgb_to_grayscale(x),
    kornia.geometry.transform.rotate(x, torch.tensor([30.0, -10.0])),
    kornia.geometry.transform.resize(x, (9, 12)), kornia.enhance.equalize_clahe(x.clamp(0, 1)),
    kornia.morphology.dilation(x, torch.ones(3, 3)), kornia.feature.harris_response(x),
    kornia.geometry.transform.warp_perspective(
        x, torch.tensor([[[1.0, 0.1, 0.0], [0.0, 1.0, 1.0], [0.001, 0.0, 1.0]]] * 2), (16, 16)
    ),
]  # fmt: skip
for y in found:
    print(y.mean().item(), y.std().item())
sum(y.sum() for y in found).backward()
print(x.grad.norm().item())
steps = aug.AugmentationSequential(
    aug.RandomHorizontalFlip(p=0.5), aug.RandomAffine(20.0, p=1.0),
    aug.ColorJitter(0.1, 0.1, 0.1, 0.1, p=1.0), data_keys=["input", "mask"],
)  # fmt: skip
torch.manual_seed(3)
image, mask = steps(x.detach(), (x.detach()[:, :1] > 0.5).float())
print(image.mean().item(), mask.sum().item())
a = torch.rand(1, 8, 2)
turn = torch.tensor([[[0.9, -0.2, 0.1], [0.2, 0.9, 0.3], [0.01, 0.02, 1.0]]])
b = kornia.geometry.transform_points(turn, a)
print(*kornia.geometry.homography.find_homography_dlt(a, b).flatten().tolist())
quaternion = kornia.geometry.conversions.axis_angle_to_quaternion(torch.tensor([[0.1, 0.2, 0.3]]))
print(*kornia.geometry.conversions.quaternion_to_rotation_matrix(quaternion).flatten().tolist())
print(kornia.losses.ssim_loss(x, x.detach().flip(0), 5).item(),
      kornia.losses.focal_loss(torch.randn(2, 3, 4), torch.tensor([[0, 1, 2, 0]] * 2), 0.5,
                               reduction="mean").item())  # fmt: skip
