"""What HARPA's report shows and how it is arranged."""

from experiments.harpa_figures.gallery import GALLERY
from experiments.report_layout import Chapter, Headline, Layout, Pivot

SOLVERS = {
    "gauss_newton": "Gauss-Newton",
    "psgld": "pSGLD, the paper's",
    "oracle": "oracle: the true events",
}
MEASURES = {
    "accuracy": "ACC",
    "accuracy_sd": "its sd",
    "accuracy_min": "least ACC",
    "e_l_s": "e_l (s)",
    "location_error_km": "location RMSE (km)",
    "origin_time_error_s": "origin time RMSE (s)",
    "wave_speed_rmse_km_s": "wave speed RMSE (km/s)",
    "cpu_s": "CPU-s a solve",
    "n_trials": "trials",
}

METRICS = {
    "association/gauss_newton/accuracy": "association accuracy ACC (Eq. 14), Gauss-Newton, mean over the trials",
    "association/psgld/accuracy": "the same, pSGLD",
    "association/oracle/accuracy": "the same, the true events with the same travel times and assignment",
    "association/gauss_newton/location_error_km": "location RMSE, Gauss-Newton (km)",
    "association/confusion_factor": "confusion factor CF (Eq. 13), mean over the trials",
    "association/n_trials": "trials",
    "field/rmse_s": "travel times of the field, RMSE at random points (s)",
    "field/mae_s": "the same, mean absolute error (s)",
    "field/max_s": "the same, largest error (s)",
}

FIGURES = {
    "associations.png": "One problem as each solver left it: arrivals by station, inner colour the true event, outer "
    "colour the one found; stations, true sources and estimates in the volume; the estimates' way there.",
    "wave_speeds.png": "Unseen wave speeds: truth, recovered from arrivals alone, and the difference.",
    "field_errors.png": "Travel times of the field against the accurate ones, at random points.",
    "training_curves.png": "Training curves.",
}

LAYOUT = Layout(
    headlines=(
        Headline("association/gauss_newton/accuracy", "ACC, Gauss-Newton", "1: every pick with its event"),
        Headline("association/psgld/accuracy", "ACC, pSGLD", "the paper's solver"),
        Headline("association/oracle/accuracy", "ACC, oracle", "true events, same travel times"),
        Headline("association/confusion_factor", "Confusion factor", "0: one order at all stations"),
        Headline("field/rmse_s", "Field RMSE (s)", "against accurate travel times"),
        Headline("association/gauss_newton/cpu_s", "CPU-s a solve", "Gauss-Newton, one thread"),
    ),
    chapters=(
        Chapter(
            "Association",
            "Each trial has events of its own. ACC aligns estimated to true events by location. The oracle "
            "is given the true events and associates with the same travel times: what it misses, no solver "
            "finds but by luck. Over an unknown wave speed it has the code that the encoder gives the true one; there, "
            "a solver may find one with better times.",
            pictures=("associations",),
            prefixes=("association/",),
            pivots=(
                Pivot(
                    "Mean over the trials.",
                    rf"association/(?P<row>\w+)/(?P<column>{'|'.join(MEASURES)})",
                    "solver",
                    MEASURES,
                    SOLVERS,
                ),
            ),
        ),
        Chapter("The wave speed found", pictures=("wave_speeds",), prefixes=("wave_speed/",)),
        Chapter(
            "Travel times of the field",
            "Judged at random points off the grid, against travel times from a finer grid.",
            pictures=("field_errors",),
            prefixes=("field/",),
        ),
        Chapter("Training", pictures=("training_curves",)),
    ),
)

PAPER_VALUES = tuple(
    (f"{name.replace('fig', 'Fig. ')}, {case}", value)
    for name, entry in GALLERY.items()
    for case, value in entry.paper.items()
)
"""What the paper has (arXiv 2307.07572), most of it for single cases."""
