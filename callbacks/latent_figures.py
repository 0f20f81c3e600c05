"""Pictures of latents."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from callbacks.figures import new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

N_LINES = 60  # partners that are joined: more lines would hide the points


def latents(embedding: npt.NDArray[np.float32], metrics: Mapping[str, float], feature_name: str = "") -> "Figure":
    """t-SNE of z'_v and z'_s of the same pairs, partners joined; beside it what of one modality the other explains.

    Args:
        embedding: `(2 n, 2)`: n points of z'_v, then their n partners of z'_s.
        metrics: `latent/...` as `LatentAlignment` gives them.
        feature_name: Name and digest of the gathers' features.

    Where there were too few pairs to measure anything the picture says so.
    """
    figure = new_figure(11.0, 4.9)
    if not metrics:
        figure.text(0.5, 0.5, "too few pairs to compare latents", ha="center")
        return figure
    points, bars = figure.subplots(1, 2, gridspec_kw={"width_ratios": (1.1, 1)})
    n = len(embedding) // 2
    velocity, seismic = embedding[:n], embedding[n:]
    for a, b in zip(velocity[:N_LINES], seismic[:N_LINES], strict=True):
        points.plot((a[0], b[0]), (a[1], b[1]), color="0.75", lw=0.5, zorder=1)
    points.scatter(*velocity.T, s=9, color="tab:blue", label="z'_v, velocity", zorder=2)
    points.scatter(*seismic.T, s=9, color="tab:red", label="z'_s, seismic", zorder=2)
    points.legend(fontsize=8)
    points.set_xticks([])
    points.set_yticks([])
    points.set_title(
        f"t-SNE of {n} held-out pairs, standardised; grey: partners\n"
        f"canonical correlation {metrics['latent/cca']:.2f}, nearest is partner: "
        f"{100 * metrics['latent/nearest_partner_rate']:.0f} %, mean rank {metrics['latent/partner_rank']:.2f}",
        fontsize=8,
    )
    groups = (
        ("gather from z", "latent/gather/linear_r2", "latent/gather/mlp_r2"),
        ("z from gather", "latent/gather/inverse_linear_r2", "latent/gather/inverse_mlp_r2"),
        ("control: far\nfrom linear", "latent/far_from_linear/linear_r2", "latent/far_from_linear/mlp_r2"),
    )
    places = np.arange(len(groups))
    for shift, column, label, color in ((-0.2, 1, "best linear map", "0.55"), (0.2, 2, "small network", "tab:green")):
        values = [metrics[group[column]] for group in groups]
        drawn = bars.bar(places + shift, values, 0.38, label=label, color=color)
        bars.bar_label(drawn, fmt="%.2f", fontsize=8)
    bars.set_xticks(places, [group[0] for group in groups], fontsize=8)
    bars.set_ylim(min(0.0, *(metrics[name] for group in groups for name in group[1:])), 1.25)
    bars.set_ylabel("R2 on held-out pairs", fontsize=8)
    bars.legend(fontsize=8, loc="upper right")
    bars.set_title(f"what one side explains of the other\ngather: {feature_name}", fontsize=8)
    figure.suptitle("Latents of velocity and seismic. z'_v and z'_s are both linear in z: that they correlate is "
                    "built in", fontsize=10)  # fmt: skip
    return figure
