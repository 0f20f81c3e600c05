"""Pictures of how well a travel-time field has learned; arrays in, a matplotlib figure out."""

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from callbacks.figures import new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = npt.NDArray[Any]


def field_errors(true_s: Array, found_s: Array, distance_km: Array) -> "Figure":
    """Learned against true times, the spread of the errors, and errors by distance from the station.

    Args:
        true_s: `(point, station)`, accurate travel times.
        found_s: The field's, likewise.
        distance_km: `(point, station)`, from point to station.
    """
    errors_ms = 1e3 * (found_s - true_s).ravel()
    figure = new_figure(10.5, 3.4)
    against, spread, by_distance = figure.subplots(1, 3)
    against.hexbin(true_s.ravel(), found_s.ravel(), gridsize=60, bins="log", cmap="viridis", mincnt=1, linewidths=0)
    span = (0.0, float(true_s.max()))
    against.plot(span, span, "r-", lw=0.6)
    against.set_xlabel("accurate travel time (s)", fontsize=7)
    against.set_ylabel("field (s)", fontsize=7)
    rmse_ms = float(np.sqrt(np.mean(np.square(errors_ms))))
    reach = max(4.0 * rmse_ms, 1e-3)
    spread.hist(errors_ms.clip(-reach, reach), bins=61, color="C0")
    spread.set_xlabel("field less accurate (ms), ends gathered", fontsize=7)
    spread.set_title(f"RMSE {rmse_ms:.1f} ms, largest {np.abs(errors_ms).max():.0f} ms", fontsize=8)
    edges = np.linspace(0.0, float(distance_km.max()), 16)
    place = np.clip(np.digitize(distance_km.ravel(), edges) - 1, 0, len(edges) - 2)
    middles = 0.5 * (edges[1:] + edges[:-1])
    for name, measure, style in (
        ("RMSE", lambda part: np.sqrt(np.mean(np.square(part))), "o-"),
        ("largest", lambda part: np.abs(part).max(), "^:"),
    ):
        values = [
            measure(errors_ms[place == i]) if (place == i).any() else np.nan  # type: ignore[no-untyped-call]
            for i in range(len(middles))
        ]
        by_distance.plot(middles, values, style, ms=3, lw=0.9, label=name)
    by_distance.set_yscale("log")
    by_distance.set_xlabel("distance from the station (km)", fontsize=7)
    by_distance.set_ylabel("error (ms)", fontsize=7)
    by_distance.legend(fontsize=7)
    for panel in (against, spread, by_distance):
        panel.tick_params(labelsize=6, which="both")
    figure.suptitle(f"Travel times of the field at {len(true_s)} random points, {true_s.shape[1]} stations", fontsize=9)
    return figure
