"""torchvision's models for optical_flow."""
