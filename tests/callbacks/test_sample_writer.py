import zipfile
from types import SimpleNamespace

import numpy as np
import torch

from callbacks.sample_writer import SampleWriter


class Identity:
    def denormalize_velocity(self, x):
        return 2 * x

    def denormalize_seismic(self, x):
        return 3 * x


def _trainer(n):
    return SimpleNamespace(
        datamodule=SimpleNamespace(normalization=Identity()), predict_dataloaders=SimpleNamespace(dataset=range(n))
    )


def _predict(writer, velocity, seismic, sizes):
    trainer = _trainer(len(velocity))
    writer.on_predict_start(trainer, None)
    start = 0
    for k, size in enumerate(sizes):
        writer.on_predict_batch_start(trainer, None, None, k)
        part = slice(start, start + size)
        writer.on_predict_batch_end(
            trainer, None, SimpleNamespace(velocity=velocity[part], seismic=seismic[part]), None, k
        )
        start += size
    return trainer


def test_streamed_pairs_read_back_with_numpy(tmp_path):
    path = tmp_path / "samples.npz"
    velocity, seismic = torch.rand(7, 1, 70, 70), torch.rand(7, 5, 9, 70)
    writer = SampleWriter(str(path), 0.004, 3)
    writer.on_predict_end(_predict(writer, velocity, seismic, (3, 3, 1)), None)
    with np.load(path) as samples:
        np.testing.assert_array_equal(samples["velocity_m_s"], 2 * velocity[:, 0].numpy())
        np.testing.assert_array_equal(samples["seismic"], 3 * seismic.numpy())
        assert samples["velocity_m_s"].dtype == samples["seismic"].dtype == np.float32
        assert samples["time_step_s"] == 0.004
        assert samples["seed"] == 3
    with zipfile.ZipFile(path) as archive:
        assert all(member.compress_type == zipfile.ZIP_STORED for member in archive.infolist())
        assert archive.testzip() is None
    assert writer.metrics["sampling/pairs_per_second_core"] > 0
    assert [p.name for p in tmp_path.iterdir()] == ["samples.npz"]


def test_an_interrupted_prediction_leaves_the_old_file_and_nothing_half_written(tmp_path):
    path = tmp_path / "samples.npz"
    path.write_bytes(b"the one before")
    writer = SampleWriter(str(path), 0.004, 0)
    trainer = _predict(writer, torch.rand(4, 1, 70, 70), torch.rand(4, 5, 9, 70), (2,))
    writer.on_exception(trainer, None, KeyboardInterrupt())
    assert path.read_bytes() == b"the one before"
    assert [p.name for p in tmp_path.iterdir()] == ["samples.npz"]
