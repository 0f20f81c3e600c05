"""Ways to find the events that explain the picks."""
