"""UB-Diff (arXiv 2501.00941): pairs of velocity map and seismic gather from an unbalanced training set."""
