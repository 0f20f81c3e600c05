"""Metrics as `torchmetrics.Metric`: they add up over batches and over processes."""
