"""What all tests share: no network, no W&B unless asked for, one thread."""

import os
from collections import Counter
from pathlib import Path

# Sums depend on the number of threads; and test processes that share the cores must not fight for them. Set before any
# library that reads it is loaded, and inherited by the processes that tests start.
for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[_name] = "1"

import pytest  # noqa: E402
import torch  # noqa: E402

torch.set_num_threads(1)

TESTS = Path(__file__).parent
SHARED_DATA = TESTS.parent.parent / "shared" / "data"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow tests begin with the longest file, by the minutes in its marks: begun last it would leave a core idle."""
    minutes: Counter[Path] = Counter()
    for item in items:
        minutes[item.path] += max((mark.kwargs.get("minutes", 0) for mark in item.iter_markers("slow")), default=0)
    items.sort(key=lambda item: -minutes[item.path])


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WANDB_SWEEP_ID", "WANDB_RUN_ID", "WANDB_API_KEY", "WANDB_PROJECT", "WANDB_NAME", "WANDB_RUN_GROUP"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WANDB_MODE", "disabled")


@pytest.fixture
def openfwi_root() -> Path:
    """Real OpenFWI maps, which stand beside the checkout on some machines."""
    root = SHARED_DATA / "openfwi"
    if not root.is_dir():
        pytest.skip("real OpenFWI maps (../shared/data/openfwi) are not on this machine")
    return root
