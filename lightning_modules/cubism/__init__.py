"""Cubism: co-balanced mixup for transfer between volcanoes, and the rivals that its parts make up."""
