"""Travel times ready for a solver, from what `sources` has read: computed, interpolated, or a trained field."""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from datamodules.errors import DataError
from experiments.association.files.grids import FACE_TOLERANCE
from experiments.association.options import VP_VS
from experiments.association.sources import Source
from experiments.errors import SettingsError

if TYPE_CHECKING:
    from experiments.association.travel_times.field import FieldTravelTimes
    from experiments.association.travel_times.provider import TravelTimes


@dataclass(frozen=True)
class Prepared:
    """Travel times ready for a problem.

    Args:
        travel_times: The provider.
        positions_km: `(station, 3)`, the provider's stations.
        station_of: `(station in the file,)`, index of each among the provider's.
        facts: What the summary says of them.
        field: The provider again, where it is a trained field that knows its wave speed.
    """

    travel_times: "TravelTimes"
    positions_km: np.ndarray
    station_of: np.ndarray
    facts: dict[str, Any]
    field: "FieldTravelTimes | None" = None


def prepare(source: Source, ids: tuple[str, ...], has_s: bool) -> Prepared:
    """Compute travel times, or load the trained field.

    Args:
        source: What was read.
        ids: Names of the stations, for messages.
        has_s: Whether there are S picks.

    Raises:
        DataError: When the field was trained for other stations.
    """
    if source.kind == "travel_time_field":
        return _field(source, ids)
    order = np.arange(len(ids))
    facts: dict[str, Any] = {"kind": source.kind, "bounds_km": _listed(source.bounds_km)}
    provider: TravelTimes
    if source.kind == "p_speed_km_s":
        from experiments.association.travel_times.homogeneous import HomogeneousTravelTimes

        p_speed = float(source.options.p_speed_km_s)
        speeds = {0: p_speed, **({1: _s_speed(source.options, p_speed)} if has_s else {})}
        assert source.bounds_km is not None
        provider = HomogeneousTravelTimes(source.positions_km, speeds, source.bounds_km, _error(source, 0.0))
        facts["speeds_km_s"] = {"PS"[phase]: speed for phase, speed in speeds.items()}
    elif source.kind == "velocity_1d":
        provider = _layered(source, has_s)
    else:
        provider, computed = _gridded(source, has_s)
        facts |= computed
    facts["error_s"] = float(provider.error_s)
    return Prepared(provider, source.positions_km, order, facts)


def _s_speed(options: argparse.Namespace, p_speed_km_s: float) -> float:
    return float(options.s_speed_km_s or p_speed_km_s / (options.vp_vs or VP_VS))


def _error(source: Source, otherwise: float) -> float:
    given = source.options.travel_time_error_s
    return otherwise if given is None else float(given)


def _gridded(source: Source, has_s: bool) -> "tuple[TravelTimes, dict[str, Any]]":
    """Times on nodes: as given, or of the speeds given; S times on the nodes of the P times."""
    from experiments.association.travel_times.table import TableTravelTimes

    assert source.grid is not None
    assert source.p_values is not None
    options, grid = source.options, source.grid
    computed = source.kind == "wave_speed"
    facts: dict[str, Any] = {
        "shape": list(grid.shape), "spacing_km": grid.spacing_km, "origin_km": list(grid.origin_km)
    }  # fmt: skip
    speeds: dict[int, np.ndarray] = {0: source.p_values} if computed else {}
    if source.s_speeds_km_s is not None:
        speeds[1] = source.s_speeds_km_s
    error_s, spacing_km = 0.0, grid.spacing_km
    tables: dict[int, np.ndarray] = {} if computed else {0: source.p_values}
    if speeds:
        from datamodules.simulate.eikonal import DEFAULT_REFINEMENT, refined
        from datamodules.simulate.eikonal import error_s as eikonal_error_s

        refinement = options.refinement or DEFAULT_REFINEMENT
        facts["refinement"] = refinement
        if computed:
            error_s = eikonal_error_s(source.p_values, grid.spacing_km, refinement)
        if computed and refinement % 2 == 0:
            # Interpolating between the given nodes costs more accuracy than solving: keep twice as many.
            refinement, spacing_km = refinement // 2, grid.spacing_km / 2
            speeds = {phase: refined(speed, 2) for phase, speed in speeds.items()}
        tables |= _eikonal(source, speeds, spacing_km, refinement)
    ratio = (options.vp_vs or VP_VS) if has_s and 1 not in tables else None
    provider = TableTravelTimes(
        tables,
        spacing_km,
        grid.origin_km,
        # T / |x - r| has no cusp at the station; times that were given are taken as they are, trilinear in between.
        station_positions_km=source.positions_km if computed else None,
        interpolation="factored" if computed else "trilinear",
        error_s=_error(source, error_s),
        vp_vs=ratio,
    )
    return provider, facts | ({"vp_vs": ratio} if ratio else {})


def _eikonal(
    source: Source, speeds: Mapping[int, np.ndarray], spacing_km: float, refinement: int
) -> dict[int, np.ndarray]:
    from datamodules.travel_time_cache import cached_travel_times

    assert source.grid is not None
    options = source.options
    return {
        phase: cached_travel_times(
            speed,
            spacing_km,
            source.positions_km,
            source.grid.origin_km,
            refinement,
            options.cache_root,
            options.workers,
            not options.quiet,
        )
        for phase, speed in speeds.items()
    }


def _layered(source: Source, has_s: bool) -> "TravelTimes":
    from experiments.association.travel_times.layered import LayeredTravelTimes

    assert source.model is not None
    assert source.bounds_km is not None
    model, options = source.model, source.options
    speeds = {0: model.p_speeds_km_s}
    if has_s:
        if options.s_speed_km_s:
            speeds[1] = np.full_like(model.p_speeds_km_s, options.s_speed_km_s)
        elif model.s_speeds_km_s is not None and options.vp_vs is None:
            speeds[1] = model.s_speeds_km_s
        else:
            speeds[1] = model.p_speeds_km_s / (options.vp_vs or VP_VS)
    return LayeredTravelTimes(
        source.positions_km, model.depths_km, speeds, source.bounds_km, error_s=_error(source, 0.01)
    )


def _field(source: Source, ids: tuple[str, ...]) -> Prepared:
    from experiments.association.travel_times.field import FieldTravelTimes
    from lightning_modules.harpa.checkpoint import load_travel_time_field

    options = source.options
    field = load_travel_time_field(options.travel_time_field)
    known = np.asarray(field.station_positions_km, float)
    bounds = np.asarray(field.bounds_km, float)
    station_of = matched_stations(options.travel_time_field, known, source.positions_km, ids, bounds)
    ratio = float(options.vp_vs or VP_VS)
    provider = FieldTravelTimes(field, ratio)
    if options.travel_time_error_s is not None:
        provider.error_s = float(options.travel_time_error_s)
    facts = {
        "kind": source.kind,
        "bounds_km": _listed(bounds),
        "n_latent": int(field.n_latent),
        "vp_vs": ratio,
        "error_s": float(provider.error_s),
    }
    return Prepared(provider, known, station_of, facts, provider)


def matched_stations(
    path: Path, known_km: np.ndarray, positions_km: np.ndarray, ids: tuple[str, ...], bounds_km: np.ndarray
) -> np.ndarray:
    """Which of the stations that a field was trained for is which.

    Args:
        path: The checkpoint, for messages.
        known_km: `(trained station, 3)`.
        positions_km: `(station, 3)`; any order, and not all need be there.
        ids: Their names.
        bounds_km: `(2, 3)`, of the field; a station within 1 % of a 32-node grid's spacing is the same.

    Returns:
        `(station,)`, index among those trained for.

    Raises:
        DataError: When a station is none of them.
    """
    tolerance = FACE_TOLERANCE * float((bounds_km[1] - bounds_km[0]).max()) / 31
    distance = np.linalg.norm(positions_km[:, None] - known_km[None], axis=-1)
    nearest = distance.argmin(axis=1)
    gap = distance[np.arange(len(ids)), nearest]
    if (gap > tolerance).any() or len(set(nearest.tolist())) < len(ids):
        worst = int(gap.argmax())
        raise DataError(
            f"{path}: this field was trained for {len(known_km)} other stations: {ids[worst]} is {gap[worst]:.3g} km "
            "from the nearest of them; give those stations in the same kilometres, or train a field for these."
        )
    return np.asarray(nearest)


def check_provider(options: argparse.Namespace, prepared: Prepared, has_s: bool) -> None:
    """Refuse S picks that the provider has no times for.

    Raises:
        SettingsError: Then.
    """
    if has_s and 1 not in prepared.travel_times.phases:
        raise SettingsError(
            f"--{options.source}: there are S picks and no S times; give --vp_vs, or leave the S picks out."
        )


def _listed(bounds_km: np.ndarray | None) -> list[list[float]] | None:
    return None if bounds_km is None else [[float(x) for x in row] for row in bounds_km]
