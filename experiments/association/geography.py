"""From latitude and longitude to local kilometres and back: transverse Mercator on the WGS 84 ellipsoid, scale 1.

x points east and y north of a centre. Krueger's series in the third flattening n, to n^4 (Karney 2011, "Transverse
Mercator with an accuracy of a few nanometers", Eqs. 7-9, 14-15, 35, 36): exact to a micrometre here. Distances grow by
x^2 / (2 R^2) away from the central meridian: 0.1 m in a km at 90 km, 1.2 m at 310 km.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

SEMI_MAJOR_AXIS_KM = 6378.137
FLATTENING = 1 / 298.257223563

_N = FLATTENING / (2 - FLATTENING)
_ECCENTRICITY = np.sqrt(FLATTENING * (2 - FLATTENING))
_RADIUS_KM = SEMI_MAJOR_AXIS_KM / (1 + _N) * (1 + _N**2 / 4 + _N**4 / 64)
# From conformal to rectifying coordinates, and back.
_FORWARD = (
    _N / 2 - 2 * _N**2 / 3 + 5 * _N**3 / 16 + 41 * _N**4 / 180,
    13 * _N**2 / 48 - 3 * _N**3 / 5 + 557 * _N**4 / 1440,
    61 * _N**3 / 240 - 103 * _N**4 / 140,
    49561 * _N**4 / 161280,
)
_BACKWARD = (
    _N / 2 - 2 * _N**2 / 3 + 37 * _N**3 / 96 - _N**4 / 360,
    _N**2 / 48 + _N**3 / 15 - 437 * _N**4 / 1440,
    17 * _N**3 / 480 - 37 * _N**4 / 840,
    4397 * _N**4 / 161280,
)
Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class LocalProjection:
    """Transverse Mercator whose x = y = 0 is a given point.

    Args:
        latitude: Of the centre, degrees.
        longitude: Of the centre, which is the central meridian, degrees.
    """

    latitude: float
    longitude: float

    @property
    def description(self) -> str:
        """In words, for the results."""
        return (
            f"transverse Mercator, WGS 84, scale 1, x = y = 0 at latitude {self.latitude:g}, "
            f"longitude {self.longitude:g}, x east, y north, z down from sea level"
        )

    def to_km(self, latitude: npt.ArrayLike, longitude: npt.ArrayLike) -> tuple[Array, Array]:
        """Kilometres east (x) and north (y) of points.

        Args:
            latitude: `(...)`, degrees, -90 to 90.
            longitude: `(...)`, degrees.
        """
        x, y = _project(np.asarray(latitude, float), np.asarray(longitude, float) - self.longitude)
        return x, y - self._northing

    def to_degrees(self, x_km: npt.ArrayLike, y_km: npt.ArrayLike) -> tuple[Array, Array]:
        """Latitude (-90 to 90) and longitude (-180 to 180) of points, degrees.

        Args:
            x_km: `(...)`.
            y_km: `(...)`.
        """
        xi = (np.asarray(y_km, float) + self._northing) / _RADIUS_KM
        eta = np.asarray(x_km, float) / _RADIUS_KM
        xi_conformal, eta_conformal = xi, eta
        for order, factor in enumerate(_BACKWARD, start=1):
            xi_conformal = xi_conformal - factor * np.sin(2 * order * xi) * np.cosh(2 * order * eta)
            eta_conformal = eta_conformal - factor * np.cos(2 * order * xi) * np.sinh(2 * order * eta)
        tangent = np.sin(xi_conformal) / np.hypot(np.sinh(eta_conformal), np.cos(xi_conformal))
        longitude = np.degrees(np.arctan2(np.sinh(eta_conformal), np.cos(xi_conformal))) + self.longitude
        return np.degrees(np.arctan(_geodetic(tangent))), (longitude + 180) % 360 - 180

    @property
    def _northing(self) -> float:
        return float(_project(np.array(self.latitude), np.array(0.0))[1])


def centre_of(latitude: npt.ArrayLike, longitude: npt.ArrayLike) -> tuple[float, float]:
    """The middle of points, latitude and longitude in degrees to four decimals; the date line may run between them."""
    phi, lam = np.radians(np.asarray(latitude, float)), np.radians(np.asarray(longitude, float))
    x, y = np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam)
    middle = np.array([x.mean(), y.mean(), np.sin(phi).mean()])
    return (
        round(float(np.degrees(np.arctan2(middle[2], np.hypot(middle[0], middle[1])))), 4),
        round(float(np.degrees(np.arctan2(middle[1], middle[0]))), 4),
    )


def _project(latitude: Array, longitude: Array) -> tuple[Array, Array]:
    tangent = _conformal(np.tan(np.radians(latitude)))
    longitude = np.radians((longitude + 180) % 360 - 180)
    xi_conformal = np.arctan2(tangent, np.cos(longitude))
    eta_conformal = np.arcsinh(np.sin(longitude) / np.hypot(tangent, np.cos(longitude)))
    xi, eta = xi_conformal, eta_conformal
    for order, factor in enumerate(_FORWARD, start=1):
        xi = xi + factor * np.sin(2 * order * xi_conformal) * np.cosh(2 * order * eta_conformal)
        eta = eta + factor * np.cos(2 * order * xi_conformal) * np.sinh(2 * order * eta_conformal)
    return _RADIUS_KM * eta, _RADIUS_KM * xi


def _conformal(tangent: Array) -> Array:
    """Tangent of the conformal latitude of a latitude's tangent."""
    secant = np.sqrt(1 + tangent**2)
    sigma = np.sinh(_ECCENTRICITY * np.arctanh(_ECCENTRICITY * tangent / secant))
    return np.asarray(tangent * np.sqrt(1 + sigma**2) - sigma * secant)


def _geodetic(conformal: Array) -> Array:
    """Its inverse, by Newton's method; two steps reach rounding, four are done."""
    tangent = conformal / (1 - _ECCENTRICITY**2)
    for _ in range(4):
        found = _conformal(tangent)
        slope = (1 - _ECCENTRICITY**2) * np.sqrt((1 + found**2) * (1 + tangent**2))
        tangent = tangent + (conformal - found) * (1 + (1 - _ECCENTRICITY**2) * tangent**2) / slope
    return np.asarray(tangent)
