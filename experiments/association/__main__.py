"""python -m experiments.association --picks picks.csv --stations stations.csv --p_speed_km_s 6.0 --out results."""

import signal
import sys

from experiments.association.cli import main

EXIT_TERMINATED = 143

if __name__ == "__main__":
    # As for Ctrl-C, what was begun is cleared away.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(EXIT_TERMINATED))
    sys.exit(main())
