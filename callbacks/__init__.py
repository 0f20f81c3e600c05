"""What happens around training: seeding, resources, figures, samples, physics."""
