"""ResNet pre-training, and the evaluators that score backbones."""
