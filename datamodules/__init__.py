"""What is learned from: data modules, and below `simulate` the physics that makes data."""
