"""`make figures-harpa`: the figures of HARPA's paper at a size for a CPU, one file a group of them."""
