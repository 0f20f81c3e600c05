"""The paper's figures: every one is made, resumed and refused rightly, on fields in closed form."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from experiments.association.solvers.psgld import PreconditionedSGLD
from experiments.association.travel_times.homogeneous import HomogeneousTravelTimes
from experiments.association.travel_times.provider import P, TravelTimesAndDerivatives
from experiments.association_trials import point_times
from experiments.harpa_fields import TrainedField
from experiments.harpa_figures import context as context_module
from experiments.harpa_figures import event_station_grid, known_speed, robustness
from experiments.harpa_figures.__main__ import main, make_figure
from experiments.harpa_figures.context import GAUSSIAN, KNOWN, UNKNOWN, UNKNOWN_50, UNKNOWN_SMALL, Context
from experiments.harpa_figures.gallery import GALLERY

BOUNDS_KM = np.array([[0.0, 0.0, 0.0], [100.0, 100.0, 100.0]])
SHAPE = (32, 32, 32)


class ScaledTimes:
    """T = |x - r| / (6 + 4 z): one number is all that is unknown of the wave speed."""

    n_latent, phases, error_s = 1, (P,), 1e-3
    latent_bounds = np.array([[0.0], [1.0]])
    bounds_km = BOUNDS_KM

    def __init__(self, stations_km):
        self.n_stations = len(stations_km)
        self._unit = HomogeneousTravelTimes(stations_km, {P: 1.0}, BOUNDS_KM)

    def times(self, positions_km, channels, latent=None):
        return self._unit.times(positions_km, channels) / (6.0 + 4.0 * latent)

    def times_and_derivatives(self, positions_km, channels, latent=None):
        distance, by_position, _ = self._unit.times_and_derivatives(positions_km, channels)
        speed = 6.0 + 4.0 * latent
        by_latent = (-4.0 * distance / speed**2).unsqueeze(-1)
        return TravelTimesAndDerivatives(distance / speed, by_position / speed.unsqueeze(-1), by_latent)


class ClosedField(TrainedField):
    """A field in closed form, of one known speed (8 km/s) or of speeds from 6 to 10 km/s."""

    def __init__(self, n_stations, is_known):
        low = np.random.default_rng(0).uniform(0.0, 100.0, (n_stations, 2))
        self.stations_km = np.pad(low, ((0, 0), (0, 1)))
        self.latents = np.array([[0.5]]) if is_known else np.array([[0.3], [0.8]])
        speeds = 6.0 + 4.0 * self.latents[:, 0]
        providers = [HomogeneousTravelTimes(self.stations_km, {P: speed}, BOUNDS_KM) for speed in speeds]
        self.data = SimpleNamespace(
            true_travel_times=lambda index: point_times(providers[index]),
            wave_speeds_km_s=np.stack([np.full(SHAPE, speed, np.float32) for speed in speeds]),
            test_indices=np.arange(len(speeds)),
            source=SimpleNamespace(sentence="closed form"),
        )
        self.field = SimpleNamespace(
            n_latent=0 if is_known else 1,
            latent_of=lambda speeds: (speeds.mean(dim=(1, 2, 3))[:, None] - 6.0) / 4.0,
        )
        self.travel_times = providers[0] if is_known else ScaledTimes(self.stations_km)
        if not is_known:
            self.travel_times.wave_speed_km_s = lambda z: np.full(SHAPE, 6.0 + 4.0 * float(np.asarray(z).ravel()[0]))


@pytest.fixture
def context(tmp_path, monkeypatch):
    quick = PreconditionedSGLD(chains=4, restarts=1, patience_epochs=2, refine_epochs=2, steps_per_epoch=5)
    monkeypatch.setattr(context_module, "field_solvers", lambda _: {"gauss_newton": "gauss_newton", "psgld": quick})
    monkeypatch.setattr(event_station_grid, "EVENTS", (2, 3))
    monkeypatch.setattr(event_station_grid, "STATIONS", (6, 8))
    for name, values in (("DISTORTIONS", (0.0,)), ("CONFUSION_FACTORS", (0.1, 0.9)), ("SPURIOUS", (0.0, 0.2)),
                         ("MISSING", (0.0,)), ("N_EVENTS", 5), ("N_STATIONS", 8)):  # fmt: skip
        monkeypatch.setattr(robustness, name, values)
    monkeypatch.setattr(known_speed, "N_EPOCHS", 3)
    monkeypatch.setattr(known_speed, "CONFUSION_FACTORS", (0.5,))
    known, unknown = ClosedField(10, True), ClosedField(10, False)
    fields = {KNOWN: known, UNKNOWN: unknown, UNKNOWN_50: unknown, UNKNOWN_SMALL: unknown, GAUSSIAN: unknown}
    return Context(tmp_path / "out", tmp_path / "runs", tmp_path / "cache", None, 2, 1000, 1, fields)


SLOW = ("fig6", "fig7", "fig9", "fig15")


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow) if n in SLOW else n for n in GALLERY])
def test_every_figure_is_made_with_its_numbers_and_not_made_again(context, name, capsys):
    context.out.mkdir()
    make_figure(name, GALLERY[name], context)
    record = json.loads((context.out / f"{name}.json").read_text())
    assert record["paper"] == dict(GALLERY[name].paper)
    assert record["provenance"]["data"]["sentence"]
    for picture in record["pictures"]:
        assert (context.out / picture).read_bytes().startswith(b"\x89PNG")
    if name not in ("fig11", "fig12", "fig13", "fig14"):
        text = json.dumps(record["results"])
        assert all(solver in text for solver in ("gauss_newton", "psgld", "oracle")), "all of them beside each other"
    capsys.readouterr()
    make_figure(name, GALLERY[name], context)
    assert f"{name}: made before" in capsys.readouterr().out


def test_cells_of_a_figure_are_kept_when_it_is_stopped(context, monkeypatch):
    context.out.mkdir()
    monkeypatch.setattr(event_station_grid, "_bars", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        make_figure("fig8", GALLERY["fig8"], context)
    monkeypatch.undo()
    ledger = json.loads((context.out / ".fig8.cells.json").read_text())
    assert {key.split("/")[0] for key in ledger["results"]} == {"2x6", "2x8", "3x6", "3x8"}
    assert not (context.out / "fig8.json").exists()


def test_the_field_in_closed_form_is_one():
    field, point = ClosedField(3, False), torch.tensor([[10.0, 20.0, 30.0]], dtype=torch.float64)
    channels, z = np.array([[0, 0], [2, 0]]), torch.tensor([[0.3]], dtype=torch.float64)
    times, _, by_latent = field.travel_times.times_and_derivatives(point, channels, z)
    np.testing.assert_allclose(times, field.data.true_travel_times(0)(point.numpy())[:, [0, 2]])
    ahead = field.travel_times.times(point, channels, z + 1e-6)
    np.testing.assert_allclose((ahead - times) / 1e-6, by_latent[..., 0], rtol=1e-5)


def test_the_list_needs_nothing_and_a_misspelt_figure_is_refused(capsys, tmp_path):
    assert main(["--list"]) == 0
    said = capsys.readouterr().out
    assert all(name in said for name in GALLERY)
    assert main(["--only", "fig99", "--run_root", str(tmp_path)]) == 2
    assert "there is no such figure" in capsys.readouterr().err
    assert main(["--trials", "0", "--run_root", str(tmp_path)]) == 2
    assert list(tmp_path.iterdir()) == []
