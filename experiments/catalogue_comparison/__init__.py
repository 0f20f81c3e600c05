"""Our catalogue beside those of PyOcto and GaMMA, each of which runs in an environment of its own."""
