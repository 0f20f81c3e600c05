"""Picks of a whole catalogue with their truth: events of all sizes, in a medium that nobody knows.

Magnitudes follow Gutenberg and Richter (b = 1); whether a station picks an arrival falls with distance and rises with
magnitude, so that small events are seen by few stations. The medium has three dimensions: a profile over depth, as
networks know it, times a random field, P and S each with one of its own. First arrivals come from the eikonal equation.
Of the picks a tenth is missing, a tenth more is spurious, and errors have heavy tails, as those of machines do.

Half of the events lie on a few small faults, the others anywhere; times are uniform, so that the rate is even.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from datamodules.errors import DataError
from datamodules.simulate.eikonal import travel_times
from datamodules.simulate.time_interpolation import InterpolatedTimes

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# depth km, P and S speed km/s: the profile that the network knows.
PROFILE = ((0.0, 5.0, 2.85), (2.0, 5.5, 3.15), (8.0, 6.0, 3.45), (20.0, 6.5, 3.75), (40.0, 7.3, 4.2))
B_VALUE = 1.0
_SPACING_KM, _TOP_KM, _DEEPEST_KM, _BESIDE_KM = 1.0, -2.0, 24.0, 6.0
_SMALLEST, _LARGEST = 0.6, 4.0


@dataclass(frozen=True)
class CatalogueSimulation:
    """What is simulated.

    Args:
        n_events: Events.
        duration_s: Origin times are uniform in it.
        n_stations: Stations, at random in a square.
        extent_km: Side of that square.
        spurious: Picks of no event, as a share of those of events.
        missing: Share of the picks that would be made and are not.
        p_error_s: Standard error of P picks: of their bulk, a Student t of four degrees of freedom.
        s_error_s: Of S picks.
        speed_deviation: Standard deviation of the speeds from the profile, relative; 0 for none.
        correlation_km: Over which it is correlated.
        seed: Decides everything; the network and the medium follow from it alone.
    """

    n_events: int = 500
    duration_s: float = 86_400.0
    n_stations: int = 40
    extent_km: float = 80.0
    spurious: float = 0.1
    missing: float = 0.1
    p_error_s: float = 0.05
    s_error_s: float = 0.1
    speed_deviation: float = 0.04
    correlation_km: float = 12.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.n_events < 1 or self.n_stations < 3 or not self.duration_s > 0:
            raise DataError(
                f"a catalogue of {self.n_events} events in {self.duration_s:g} s at {self.n_stations} stations cannot "
                "be simulated; at least one event, three stations and a duration above 0 are wanted."
            )
        if not (0 <= self.missing < 1 and self.spurious >= 0):
            raise DataError(
                f"missing is {self.missing:g} and spurious {self.spurious:g}; 0 to 1 and at least 0, please."
            )


class SimulatedCatalogue(NamedTuple):
    """Picks in order of time, and the truth.

    Args:
        stations_km: `(station, 3)`; z down, above the sea negative.
        station: `(pick,)` int.
        phase: `(pick,)` int, 0 P, 1 S.
        time_s: `(pick,)`.
        score: `(pick,)`, between 0 and 1, as pickers give it; lower for spurious picks on the whole.
        event: `(pick,)` int, true event, -1 for spurious picks.
        event_times_s: `(event,)`, in order.
        event_positions_km: `(event, 3)`.
        magnitudes: `(event,)`.
    """

    stations_km: FloatArray
    station: IntArray
    phase: IntArray
    time_s: FloatArray
    score: FloatArray
    event: IntArray
    event_times_s: FloatArray
    event_positions_km: FloatArray
    magnitudes: FloatArray


def simulate_catalogue(simulation: CatalogueSimulation, workers: int = 1, progress: bool = False) -> SimulatedCatalogue:
    """Draw a network, a medium and events, and pick them.

    Args:
        simulation: What is wanted.
        workers: Threads for travel times.
        progress: Show a progress bar.
    """
    of_network, of_medium, of_events, of_picks = (
        np.random.default_rng([simulation.seed, number]) for number in range(4)
    )
    half = simulation.extent_km / 2
    n = simulation.n_stations
    stations = np.c_[of_network.uniform(-half, half, (n, 2)), -of_network.uniform(0.0, 1.5, n)]
    tables = _travel_times(simulation, stations, of_medium, workers, progress)
    positions, times, magnitudes = _events(simulation, of_events)
    parts: list[tuple[IntArray, IntArray, FloatArray, IntArray]] = []
    block = max(1, 2_000_000 // n)
    for low in range(0, len(times), block):
        own = slice(low, low + block)
        away = np.linalg.norm(positions[own, None] - stations[None], axis=-1)
        for phase, table in enumerate(tables):
            chance = detection_probability(magnitudes[own, None], away, phase) * (1 - simulation.missing)
            event, station = np.nonzero(of_picks.random(away.shape) < chance)
            error_s = (simulation.p_error_s, simulation.s_error_s)[phase] * of_picks.standard_t(4, len(event))
            arrival = times[own][event] + table(positions[own])[event, station] + error_s
            parts.append((station, np.full(len(event), phase), arrival, event + low))
    station, phases, time, event = (np.concatenate(column) for column in zip(*parts, strict=True))
    n_spurious = round(simulation.spurious * len(time))
    if len(time):
        like = of_picks.integers(0, len(time), n_spurious)  # busy stations have more of them
        station, phases = np.r_[station, station[like]], np.r_[phases, phases[like]]
        time = np.r_[time, of_picks.uniform(0, simulation.duration_s, n_spurious)]
        event = np.r_[event, np.full(n_spurious, -1)]
    score = np.where(event >= 0, of_picks.beta(5, 2, len(event)), of_picks.beta(2, 3, len(event)))
    order = np.lexsort((station, time))
    return SimulatedCatalogue(stations, station[order], phases[order], time[order], score[order], event[order], times,
                              positions, magnitudes)  # fmt: skip


def detection_probability(magnitude: FloatArray, distance_km: FloatArray, phase: int) -> FloatArray:
    """Whether a station picks an arrival: half where the magnitude is that which the distance asks for.

    An amplitude falls as 1 / R and by 1 dB a kilometre of path at most stations' frequencies; magnitude .3 is seen at
    10 km, 1.2 at 40 km and 2.4 at 100 km by half of the stations.
    """
    needed = 1.11 * np.log10(np.maximum(distance_km, 1.0)) + 0.0125 * distance_km - 0.95 + 0.1 * phase
    return np.asarray(1.0 / (1.0 + np.exp(-(magnitude - needed) / 0.18)), np.float64)


def _events(simulation: CatalogueSimulation, draw: np.random.Generator) -> tuple[FloatArray, FloatArray, FloatArray]:
    n, half = simulation.n_events, simulation.extent_km / 2
    times = np.sort(draw.uniform(0, simulation.duration_s, n))
    share = 10 ** (-B_VALUE * (_LARGEST - _SMALLEST))
    magnitudes = _SMALLEST - np.log10(1 - draw.random(n) * (1 - share)) / B_VALUE
    anywhere = np.c_[draw.uniform(-0.8 * half, 0.8 * half, (n, 2)), draw.uniform(2, 16, n)]
    n_faults = 6
    middles = np.c_[draw.uniform(-0.6 * half, 0.6 * half, (n_faults, 2)), draw.uniform(5, 12, n_faults)]
    strikes = draw.uniform(0, np.pi, n_faults)
    fault = draw.integers(0, n_faults, n)
    along, across, down = draw.normal(0, 3, n), draw.normal(0, 0.5, n), draw.normal(0, 1.5, n)
    east = along * np.sin(strikes[fault]) + across * np.cos(strikes[fault])
    north = along * np.cos(strikes[fault]) - across * np.sin(strikes[fault])
    on_fault = middles[fault] + np.c_[east, north, down]
    positions = np.where(draw.random(n)[:, None] < 0.5, on_fault, anywhere)
    positions[:, 2] = np.clip(positions[:, 2], 1.0, 20.0)
    positions[:, :2] = np.clip(positions[:, :2], -half, half)
    return positions, times, magnitudes


def _travel_times(
    simulation: CatalogueSimulation, stations_km: FloatArray, draw: np.random.Generator, workers: int, progress: bool
) -> list[InterpolatedTimes]:
    half = simulation.extent_km / 2 + _BESIDE_KM
    origin = np.array([-half, -half, _TOP_KM])
    shape = tuple(int(np.ceil(length / _SPACING_KM)) + 1 for length in (2 * half, 2 * half, _DEEPEST_KM - _TOP_KM))
    depths = _TOP_KM + _SPACING_KM * np.arange(shape[2])
    nodes, *profiles = np.array(PROFILE).T
    tables = []
    common = _random_field(shape, simulation.correlation_km, draw)
    for profile in profiles:
        # P and S deviate together for the most part.
        field = 0.8 * common + 0.6 * _random_field(shape, simulation.correlation_km, draw)
        speed = np.interp(depths, nodes, profile) * np.exp(simulation.speed_deviation * field)
        times = travel_times(speed, _SPACING_KM, stations_km, origin, workers=workers, progress=progress)
        tables.append(InterpolatedTimes(times, _SPACING_KM, stations_km, origin))
    return tables


def _random_field(shape: tuple[int, ...], correlation_km: float, draw: np.random.Generator) -> FloatArray:
    """Gaussian, of mean 0 and deviation 1, with a Gaussian correlation in space."""
    from scipy.ndimage import gaussian_filter

    field = gaussian_filter(draw.standard_normal(shape), correlation_km / _SPACING_KM / np.sqrt(2), mode="wrap")
    return np.asarray((field - field.mean()) / field.std(), np.float64)
