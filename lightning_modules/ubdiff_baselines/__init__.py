"""Generators that UB-Diff is compared with: each modality has an autoencoder and a latent of its own."""
