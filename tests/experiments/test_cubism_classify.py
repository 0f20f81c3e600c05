"""A user's own records, classified by a checkpoint with the checkpoint's own preprocessing."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch

from datamodules.simulate.volcano_events import volcano_event
from datamodules.simulate.volcano_parameters import TWINS
from datamodules.waveform_preprocessing import Preprocessing
from experiments.cubism import main
from experiments.cubism_classify import load
from lightning_modules.cubism.module import CubismModule

SMALL = {"generator": "none", "mixup": "none", "balance": "none", "adversary": False, "conditional": False,
         "representation": "shared", "image_size": 32, "backbone_width": 4, "head_units": 8}  # fmt: skip
PREPROCESSING = Preprocessing(size=32, floor_db=40.0)


@pytest.fixture
def checkpoint(tmp_path) -> Path:
    """An untrained network, saved as a run saves it."""
    torch.manual_seed(0)
    module = CubismModule(**SMALL)
    module.preprocessing = dict(PREPROCESSING.as_dict())
    content = {
        "state_dict": module.state_dict(),
        "hyper_parameters": {**module.hparams, "_instantiator": "lightning"},
        "pytorch-lightning_version": "2.6.6",
    }
    module.on_save_checkpoint(content)
    torch.save(content, tmp_path / "final.ckpt")
    return tmp_path / "final.ckpt"


@pytest.fixture
def records(tmp_path) -> Path:
    folder = tmp_path / "records"
    (folder / "march").mkdir(parents=True)
    rate_hz = TWINS["Deception"].acquisition.sampling_rate_hz
    for number in range(3):
        waveform = volcano_event(TWINS["Deception"], number % 2, number, seed=100)
        np.savez(folder / "march" / f"{number}.npz", waveform=waveform, sampling_rate_hz=rate_hz)
    time_s = np.arange(3000) / 100
    np.savetxt(folder / "a.csv", np.sin(6 * time_s) * np.exp(-time_s / 9))
    return folder


def call(checkpoint: Path, records: Path, out: Path, *more: str) -> int:
    return main(["classify", "--checkpoint", str(checkpoint), "--waveforms", str(records), "--out", str(out), *more])


def test_every_record_gets_probabilities_by_the_checkpoint_s_own_preprocessing(checkpoint, records, tmp_path):
    out = tmp_path / "catalogue.csv"
    assert call(checkpoint, records, out, "--sampling_rate_hz", "100") == 0
    with out.open() as file:
        rows = {row["record"]: row for row in csv.DictReader(file)}
    assert len(rows) == 4
    module = load(checkpoint)
    waveform = volcano_event(TWINS["Deception"], 1, 1, seed=100)
    image = torch.from_numpy(PREPROCESSING.image(waveform, 50.0))[None]
    with torch.no_grad():
        probability = module(image).softmax(1)[0]
    row = next(row for name, row in rows.items() if "1.npz" in name)
    assert float(row["probability_lp"]) == pytest.approx(float(probability[0]), abs=2e-6)
    assert float(row["probability_vt"]) == pytest.approx(float(probability[1]), abs=2e-6)
    assert row["predicted_class"] == ("LP" if probability[0] > probability[1] else "VT")


def test_records_are_read_by_the_statistics_of_the_volcano_that_is_named(checkpoint, records, tmp_path):
    torch.manual_seed(0)
    module = CubismModule(**SMALL, batch_statistics="per_volcano")
    module.networks.readers.backbone.bn1.target_running_mean.fill_(0.5)
    content = torch.load(checkpoint, weights_only=True)
    torch.save({**content, "state_dict": module.state_dict(), "hyper_parameters": dict(module.hparams)}, checkpoint)
    texts = {}
    for options in ((), ("--volcano", "target"), ("--volcano", "source")):
        out = tmp_path / "catalogue.csv"
        assert call(checkpoint, records, out, "--sampling_rate_hz", "100", *options) == 0
        texts[options] = out.read_text()
    assert texts[()] == texts["--volcano", "target"] != texts["--volcano", "source"]


def test_bad_records_are_refused_or_listed_without_a_class(checkpoint, records, tmp_path, capsys):
    np.save(records / "dead.npy", np.ones(500, np.float32))
    out = tmp_path / "catalogue.csv"
    rate = ["--sampling_rate_hz", "100"]
    assert call(checkpoint, records, out, *rate) == 2
    assert "dead" in capsys.readouterr().err
    assert not out.exists()
    assert call(checkpoint, records, out, *rate, "--bad_records", "leave_out") == 0
    with out.open() as file:
        dead = next(row for row in csv.DictReader(file) if "dead" in row["record"])
    assert dead["predicted_class"] == ""
    assert "constant" in dead["note"]


WRONG = [
    ("no checkpoint", {"checkpoint": "absent.ckpt"}, "absent.ckpt"),
    ("no records", {"waveforms": "absent"}, "absent"),
    ("no folder for the catalogue", {"out": "absent/catalogue.csv"}, "absent"),
    ("an unknown sampling rate", {"rate": None}, "sampling rate"),
]


@pytest.mark.parametrize(("change", "message"), [w[1:] for w in WRONG], ids=[w[0] for w in WRONG])
def test_wrong_input_gets_one_sentence(checkpoint, records, tmp_path, monkeypatch, capsys, change, message):
    monkeypatch.chdir(tmp_path)
    places = {"checkpoint": str(checkpoint), "waveforms": str(records), "out": "catalogue.csv"}
    places |= {name: value for name, value in change.items() if name in places}
    rate = [] if "rate" in change else ["--sampling_rate_hz", "100"]
    assert main(["classify", *(part for name, value in places.items() for part in (f"--{name}", value)), *rate]) == 2
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(said) == 1
    assert message in said[0]
    assert not (tmp_path / "catalogue.csv").exists()


def test_a_checkpoint_that_does_not_say_how_its_images_were_made_is_refused(checkpoint, records, tmp_path, capsys):
    content = torch.load(checkpoint, weights_only=True)
    content["preprocessing"] = {}
    torch.save(content, checkpoint)
    assert call(checkpoint, records, tmp_path / "c.csv", "--sampling_rate_hz", "100") == 2
    assert "does not say how its spectrograms were made" in capsys.readouterr().err


def test_another_version_of_the_preprocessing_is_refused(checkpoint, records, tmp_path, capsys):
    content = torch.load(checkpoint, weights_only=True)
    content["preprocessing"]["version"] = 0
    torch.save(content, checkpoint)
    assert call(checkpoint, records, tmp_path / "c.csv", "--sampling_rate_hz", "100") == 2
    assert "version 0" in capsys.readouterr().err
