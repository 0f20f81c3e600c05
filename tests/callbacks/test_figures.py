"""That a figure is good is for eyes; that it shows the data it is given is for tests."""

import numpy as np
import pytest

from callbacks import figures

N = 3


@pytest.fixture
def pairs():
    rng = np.random.default_rng(0)
    velocity = rng.uniform(1500, 4500, (N, 70, 70)).astype(np.float32)
    return velocity, rng.normal(size=(N, 5, 40, 70)).astype(np.float32)


def _images(figure):
    return [image.get_array() for axes in figure.axes for image in axes.images]


def test_reconstructions_show_truth_and_reconstruction(pairs, tmp_path):
    velocity, seismic = pairs
    figure = figures.reconstructions(velocity, velocity + 10, seismic, -seismic, 0.004)
    images = _images(figure)
    for i in range(N):
        assert any(np.array_equal(image, velocity[i]) for image in images)
        assert any(np.array_equal(image, -seismic[i, 2]) for image in images)
    assert any("MAE 10 m/s" in axes.get_title() for axes in figure.axes)
    assert figures.save(figure, tmp_path / "a.png").stat().st_size > 10_000
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


def test_physics_figure_shows_the_difference(pairs):
    velocity, seismic = pairs
    images = _images(figures.physics_traces(velocity, seismic, 0.5 * seismic, 0.004))
    assert any(image.shape == (40, 70) and np.allclose(image, 0.5 * seismic[1, 2]) for image in images)


def test_reflections_set_the_scale_of_the_physics_figure(pairs):
    velocity, seismic = pairs
    weak = 0.01 * seismic
    figure = figures.physics_traces(velocity, seismic, seismic + weak, 0.004, reflections=weak)
    gathers = [image for axes in figure.axes for image in axes.images if image.get_array().shape == (40, 70)]
    assert all(image.get_clim()[1] < 0.05 for image in gathers)
    assert sum("residual 1.00" in axes.get_title() for axes in figure.axes) == N


def test_generated_pairs_show_maps_and_gathers(pairs):
    velocity, seismic = pairs
    images = _images(figures.generated_pairs(velocity, seismic, 0.004))
    assert any(np.array_equal(image, seismic[2, 2]) for image in images)


def test_training_curves_draw_every_logged_number():
    lines = [{"step": s, "train/loss": 1 / s, "val/loss": 2 / s, "val/mae": 3 / s} for s in (1, 2, 3)]
    figure = figures.training_curves({"paired": lines})
    drawn = {line.get_label(): list(line.get_ydata()) for axes in figure.axes for line in axes.lines}
    assert drawn["val/mae"] == [3.0, 1.5, 1.0]
    assert set(drawn) == {"train/loss", "val/loss", "val/mae"}


@pytest.mark.parametrize("width", [2.5, 6.6, 12.0])
def test_the_foot_of_a_picture_stays_inside_it(tmp_path, width):
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure = figures.new_figure(width, 3.0)
    figure.subplots().plot([0, 1])
    said = "synthetic events, not recorded there: Llaima, Deception; ORDER AS PUBLISHED, no mean removal, no crop, " * 2
    figures.save(figure, tmp_path / "a.png", f"{said}\nrun Llaima-Deception-cubism-tiny-seed0")
    renderer = FigureCanvasAgg(figure).get_renderer()
    [foot] = [text for text in figure.texts if "run Llaima" in text.get_text()]
    assert " ".join(foot.get_text().split()) == " ".join(f"{said}\nrun Llaima-Deception-cubism-tiny-seed0".split())
    extent, whole = foot.get_window_extent(renderer), figure.bbox
    assert extent.x0 >= whole.x0
    assert extent.x1 <= whole.x1
    assert extent.y0 >= whole.y0
    assert figure.axes[0].get_window_extent(renderer).y0 > extent.y1, "and under the axes"
