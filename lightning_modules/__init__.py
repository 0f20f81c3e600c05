"""What is learned: one folder a paper, and the metrics they share."""
