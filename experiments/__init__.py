"""What you run: one entry point a paper, one pipeline for all."""
