"""Networks for videos."""

from __future__ import annotations

from .mvit import (
    MViT as MViT,
    MViT_V1_B_Weights as MViT_V1_B_Weights,
    MViT_V2_S_Weights as MViT_V2_S_Weights,
    mvit_v1_b as mvit_v1_b,
    mvit_v2_s as mvit_v2_s,
)
from .resnet import (
    MC3_18_Weights as MC3_18_Weights,
    R2Plus1D_18_Weights as R2Plus1D_18_Weights,
    R3D_18_Weights as R3D_18_Weights,
    VideoResNet as VideoResNet,
    mc3_18 as mc3_18,
    r2plus1d_18 as r2plus1d_18,
    r3d_18 as r3d_18,
)
from .s3d import (
    S3D as S3D,
    S3D_Weights as S3D_Weights,
    s3d as s3d,
)
from .swin_transformer import (
    Swin3D_B_Weights as Swin3D_B_Weights,
    Swin3D_S_Weights as Swin3D_S_Weights,
    Swin3D_T_Weights as Swin3D_T_Weights,
    SwinTransformer3d as SwinTransformer3d,
    swin3d_b as swin3d_b,
    swin3d_s as swin3d_s,
    swin3d_t as swin3d_t,
)
