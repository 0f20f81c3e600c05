"""Generated pairs, streamed into one `.npz` of any length.

The file is an uncompressed zip, as `numpy.savez` makes it, but written piece by piece: memory stays that of one batch.
"""

import shutil
import time
import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np
from lightning.pytorch import Callback, LightningModule, Trainer

SEISMIC, VELOCITY = "seismic.npy", "velocity_m_s.npy"


class SampleWriter(Callback):
    """Write `samples.npz` during `predict`.

    It holds `velocity_m_s (n, 70, 70)` float32, `seismic (n, 5, T, 70)` float32 in OpenFWI's raw amplitude,
    `time_step_s` and `seed`.

    Args:
        path: The file.
        time_step_s: Sampling of the gathers.
        seed: The sampling seed, written into the file.

    Attributes:
        metrics: `sampling/pairs_per_second_core` after the prediction: pairs per CPU-second from noise to raw
            amplitude, disk not counted.
    """

    def __init__(self, path: str, time_step_s: float, seed: int) -> None:
        self.path = Path(path)
        self.time_step_s = time_step_s
        self.seed = seed
        self.metrics: dict[str, float] = {}
        self._zip: zipfile.ZipFile | None = None
        self._seismic: IO[bytes] | None = None
        self._velocity: IO[bytes] | None = None
        self._n = self._written = 0
        self._cpu_s = self._batch_started = 0.0

    @property
    def _partial(self) -> Path:
        return self.path.with_name(f".{self.path.name}.partial")

    @property
    def _velocity_partial(self) -> Path:
        # A zip takes one member at a time: the small one waits in a file of its own.
        return self.path.with_name(f".{self.path.name}.velocity.partial")

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Open the file."""
        dataset: Any = trainer.predict_dataloaders
        self._n, self._written, self._cpu_s = len(dataset.dataset), 0, 0.0
        self._zip = zipfile.ZipFile(self._partial, "w", zipfile.ZIP_STORED, allowZip64=True)
        self._velocity = self._velocity_partial.open("wb")

    def on_predict_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Start the clock."""
        self._batch_started = time.process_time()

    def on_predict_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Append one batch."""
        normalization = trainer.datamodule.normalization  # type: ignore[attr-defined]
        velocity = normalization.denormalize_velocity(outputs.velocity[:, 0]).float().cpu().numpy()
        seismic = normalization.denormalize_seismic(outputs.seismic).float().cpu().numpy()
        self._cpu_s += time.process_time() - self._batch_started
        assert self._zip is not None
        assert self._velocity is not None
        if self._seismic is None:
            self._seismic = self._zip.open(SEISMIC, "w", force_zip64=True)
            _write_header(self._seismic, (self._n, *seismic.shape[1:]))
            _write_header(self._velocity, (self._n, *velocity.shape[1:]))
        self._seismic.write(np.ascontiguousarray(seismic).data)
        self._velocity.write(np.ascontiguousarray(velocity).data)
        self._written += len(velocity)

    def on_predict_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Add the other members, close, and give the file its name."""
        assert self._zip is not None
        assert self._velocity is not None
        assert self._seismic is not None
        self._seismic.close()
        self._velocity.close()
        with self._velocity_partial.open("rb") as source, self._zip.open(VELOCITY, "w", force_zip64=True) as target:
            shutil.copyfileobj(source, target, 1 << 20)
        for name, value in (("time_step_s", np.float64(self.time_step_s)), ("seed", np.int64(self.seed))):
            with self._zip.open(f"{name}.npy", "w") as target:
                np.lib.format.write_array(target, np.asarray(value))
        self._zip.close()
        self._partial.replace(self.path)
        self._clean()
        self.metrics = {"sampling/pairs_per_second_core": self._written / max(self._cpu_s, 1e-9)}

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Leave nothing half-written behind."""
        self._clean()

    def _clean(self) -> None:
        for file in (self._seismic, self._velocity):
            if file is not None and not file.closed:
                file.close()
        if self._zip is not None:
            self._zip.close()
        self._zip = self._seismic = self._velocity = None
        self._partial.unlink(missing_ok=True)
        self._velocity_partial.unlink(missing_ok=True)


def _write_header(file: IO[bytes], shape: tuple[int, ...]) -> None:
    header: dict[str, Any] = {
        "descr": np.lib.format.dtype_to_descr(np.dtype(np.float32)),
        "fortran_order": False,
        "shape": shape,
    }
    np.lib.format.write_array_header_2_0(file, header)
