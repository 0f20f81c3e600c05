"""HARPA: wave-speed autoencoder and travel-time neural fields."""
