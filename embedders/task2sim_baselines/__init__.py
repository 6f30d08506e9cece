"""Embedders to compare Task2Vec with: statistics of features, statistics of pixels, and a control."""
