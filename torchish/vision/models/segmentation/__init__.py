"""torchvision's models for segmentation."""
