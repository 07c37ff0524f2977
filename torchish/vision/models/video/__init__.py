"""torchvision's models for video."""
