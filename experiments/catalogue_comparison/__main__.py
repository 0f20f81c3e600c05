"""python -m experiments.catalogue_comparison real|synthetic --pyocto PYTHON --gamma PYTHON --out DIR."""

import sys

from experiments.catalogue_comparison.program import main

if __name__ == "__main__":
    sys.exit(main())
