"""Associating a whole catalogue of picks: the program behind `make associate`, its filters, files and report."""
