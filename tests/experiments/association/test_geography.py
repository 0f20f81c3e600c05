"""The projection against closed forms and a second, independent way to measure distances on the ellipsoid."""

import numpy as np
import pytest

from experiments.association.geography import FLATTENING, SEMI_MAJOR_AXIS_KM, LocalProjection, centre_of

SQUARED_ECCENTRICITY = FLATTENING * (2 - FLATTENING)
CENTRES = [(42.8, 13.1), (0.0, 0.0), (-89.9, 100.0), (65.0, 179.5), (-33.0, -71.6)]


def _vincenty_km(latitude_1, longitude_1, latitude_2, longitude_2):
    """Length of the geodesic by Vincenty's inverse formula (Survey Review 23, 1975)."""
    reduced = np.arctan((1 - FLATTENING) * np.tan(np.radians([latitude_1, latitude_2])))
    (sin_1, sin_2), (cos_1, cos_2) = np.sin(reduced), np.cos(reduced)
    difference = np.radians(longitude_2 - longitude_1)
    spherical = difference
    for _ in range(50):
        sin_arc = np.hypot(cos_2 * np.sin(spherical), cos_1 * sin_2 - sin_1 * cos_2 * np.cos(spherical))
        cos_arc = sin_1 * sin_2 + cos_1 * cos_2 * np.cos(spherical)
        arc = np.arctan2(sin_arc, cos_arc)
        sin_azimuth = cos_1 * cos_2 * np.sin(spherical) / sin_arc
        cos2_azimuth = 1 - sin_azimuth**2
        cos_middle = cos_arc - 2 * sin_1 * sin_2 / cos2_azimuth
        c = FLATTENING / 16 * cos2_azimuth * (4 + FLATTENING * (4 - 3 * cos2_azimuth))
        spherical = difference + (1 - c) * FLATTENING * sin_azimuth * (
            arc + c * sin_arc * (cos_middle + c * cos_arc * (2 * cos_middle**2 - 1))
        )
    minor = SEMI_MAJOR_AXIS_KM * (1 - FLATTENING)
    u = cos2_azimuth * (SEMI_MAJOR_AXIS_KM**2 - minor**2) / minor**2
    a = 1 + u / 16384 * (4096 + u * (-768 + u * (320 - 175 * u)))
    b = u / 1024 * (256 + u * (-128 + u * (74 - 47 * u)))
    inner = cos_arc * (2 * cos_middle**2 - 1) - b / 6 * cos_middle * (4 * sin_arc**2 - 3) * (4 * cos_middle**2 - 3)
    return minor * a * (arc - b * sin_arc * (cos_middle + b / 4 * inner))


def test_along_the_central_meridian_y_is_the_meridian_arc():
    projection = LocalProjection(40.0, 13.0)
    latitudes = np.radians(np.linspace(40.0, 45.0, 20_001))
    curvature = SEMI_MAJOR_AXIS_KM * (1 - SQUARED_ECCENTRICITY)
    radius = curvature / (1 - SQUARED_ECCENTRICITY * np.sin(latitudes) ** 2) ** 1.5
    arc_km = np.trapezoid(radius, latitudes)
    x_km, y_km = projection.to_km(45.0, 13.0)
    assert x_km == pytest.approx(0, abs=1e-9)
    assert y_km == pytest.approx(arc_km, abs=1e-6)


@pytest.mark.parametrize(("latitude", "longitude"), CENTRES)
def test_there_and_back(latitude, longitude):
    projection = LocalProjection(latitude, longitude)
    rng = np.random.default_rng(0)
    x_km, y_km = rng.uniform(-500, 500, (2, 200))
    back = projection.to_km(*projection.to_degrees(x_km, y_km))
    np.testing.assert_allclose(back, (x_km, y_km), atol=1e-8)
    there = projection.to_degrees(x_km, y_km)
    assert (np.abs(there[0]) <= 90).all()
    assert (np.abs(there[1]) <= 180).all()
    np.testing.assert_allclose(projection.to_km(latitude, longitude), (0, 0), atol=1e-9)


@pytest.mark.parametrize(("latitude", "longitude"), [centre for centre in CENTRES if centre[0] > -80])
def test_distances_are_those_of_the_ellipsoid_but_for_the_stated_distortion(latitude, longitude):
    projection = LocalProjection(latitude, longitude)
    rng = np.random.default_rng(1)
    latitudes = latitude + rng.uniform(-1, 1, (30, 2))
    longitudes = longitude + rng.uniform(-1, 1, (30, 2))
    x_km, y_km = projection.to_km(latitudes, longitudes)
    flat = np.hypot(*(np.diff(axis, axis=1)[:, 0] for axis in (x_km, y_km)))
    true = [
        _vincenty_km(la[0], lo[0], la[1], lo[1]) for la, lo in zip(latitudes.tolist(), longitudes.tolist(), strict=True)
    ]
    largest = np.abs(x_km).max() ** 2 / (2 * 6350.0**2)
    assert (np.abs(flat / true - 1) <= largest * 1.01).all()
    assert (flat / true >= 1 - 1e-8).all()


def test_x_points_east_and_y_north():
    projection = LocalProjection(42.8, 13.1)
    east, north = projection.to_km(42.8, 13.2), projection.to_km(42.9, 13.1)
    assert east[0] > 8
    assert abs(east[1]) < 0.01
    assert north[1] > 11
    assert abs(north[0]) < 1e-9


def test_the_middle_of_points_across_the_date_line():
    latitude, longitude = centre_of([10.0, 10.0], [179.0, -179.0])
    assert abs(longitude) == 180.0
    assert latitude == pytest.approx(10.0, abs=0.01)
    x_km, _ = LocalProjection(latitude, longitude).to_km([10.0, 10.0], [179.0, -179.0])
    assert x_km[0] == pytest.approx(-x_km[1])
    assert x_km[1] > 100
