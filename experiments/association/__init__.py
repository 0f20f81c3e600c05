"""Which pick belongs to which earthquake: the association runner (HARPA, arXiv 2307.07572)."""
