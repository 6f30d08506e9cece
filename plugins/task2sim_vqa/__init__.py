"""Questions and answers about rendered scenes, as in SimVQA (Cascante-Bonilla et al., CVPR 2022)."""
