"""Pre-training by segmentation and detection, and the evaluators that score backbones on masks and boxes."""
