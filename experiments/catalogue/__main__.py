"""python -m experiments.catalogue --picks picks.csv --stations stations.csv --velocity model.csv --out results."""

import signal
import sys

from experiments.catalogue.program import main

EXIT_TERMINATED = 143

if __name__ == "__main__":
    # As for Ctrl-C, what was begun is cleared away, and what was associated is kept for the next run.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(EXIT_TERMINATED))
    sys.exit(main())
