"""Fast marching of the factored eikonal equation |grad(T0 tau)| = 1 / c, second order (after Treister and Haber 2016).

T0 (`eikonal_reference`) has the cusp of the source, tau is smooth, and only tau is differenced: a plain scheme loses
most of its accuracy in the first few nodes around the source, and cannot start between nodes at all. Nodes are accepted
in order of time; each axis takes the neighbour that was reached first, with a second-order difference where the node
behind it was accepted too. An axis of one node makes the problem two-dimensional.

Everything is counted in spacings: a time is in spacings / (km/s).
"""

import numpy as np
import numpy.typing as npt

from datamodules.simulate.eikonal_reference import FloatArray, compiled, inlined, reference, time_near

_FAR, _TRIAL, _ACCEPTED, _OUTSIDE = 0, 1, 2, 3
_HALO = 2  # nodes outside the grid on each side, so that no neighbour has to be asked for
_ARITY = 4

IntArray = npt.NDArray[np.int64]
IndexArray = npt.NDArray[np.int32]


@compiled
def march(speed: FloatArray, source: FloatArray, c0: float, gradient: FloatArray, radius: float) -> FloatArray:
    """First-arrival times of a point source at every node.

    Args:
        speed: `(nx, ny, nz)` km/s at the nodes.
        source: `(3,)`, in spacings from the first node, inside the grid.
        c0: Speed at the source, km/s.
        gradient: `(3,)`, gradient of the reference, km/s a spacing; it must stay positive in the grid.
        radius: Nodes within so many spacings are timed directly.

    Returns:
        `(nx, ny, nz)`, in spacings / (km/s).
    """
    nx, ny, nz = speed.shape
    stride_x, stride_y = (ny + 2 * _HALO) * (nz + 2 * _HALO), nz + 2 * _HALO
    n_padded = (nx + 2 * _HALO) * stride_x
    time = np.full(n_padded, np.inf)
    tau = np.zeros(n_padded)
    status = np.full(n_padded, _OUTSIDE, np.uint8)
    squared_slowness = np.zeros(n_padded)
    factor = np.full((n_padded, 4), np.inf)  # T0 and its gradient
    place = np.zeros(n_padded, np.int32)  # in the heap
    heap = np.zeros(nx * ny * nz + _ARITY, np.int32)
    keys = np.full(nx * ny * nz + _ARITY, np.inf)
    size = 0
    sx, sy, sz = source
    for i in range(nx):
        for j in range(ny):
            for k in range(nz):
                n = (i + _HALO) * stride_x + (j + _HALO) * stride_y + k + _HALO
                status[n] = _FAR
                squared_slowness[n] = 1.0 / speed[i, j, k] ** 2
                dx, dy, dz = i - sx, j - sy, k - sz
                factor[n, 0], factor[n, 1], factor[n, 2], factor[n, 3] = reference(
                    dx, dy, dz, c0, gradient[0], gradient[1], gradient[2]
                )
                if dx * dx + dy * dy + dz * dz <= radius * radius:
                    time[n] = time_near(speed, sx, sy, sz, dx, dy, dz, c0, gradient)
                    tau[n] = time[n] / factor[n, 0] if factor[n, 0] > 0 else 1.0
                    status[n] = _TRIAL
                    _sift_up(heap, keys, place, n, time[n], size)
                    size += 1
    strides = np.array([stride_x, stride_y, 1])
    alpha, beta, first = np.zeros(3), np.zeros(3), np.zeros(3)
    while size:
        n = heap[0]
        status[n] = _ACCEPTED
        size -= 1
        _remove_first(heap, keys, place, size)
        for axis in range(3):
            for side in (-1, 1):
                m = n + side * strides[axis]
                if status[m] >= _ACCEPTED:
                    continue
                found = _solve(m, strides, status, time, tau, factor, squared_slowness[m], alpha, beta, first)
                found_time = found * factor[m, 0]
                if found_time >= time[m] and status[m] == _TRIAL:
                    continue
                time[m], tau[m] = found_time, found
                if status[m] == _FAR:
                    status[m] = _TRIAL
                    place[m] = size
                    size += 1
                _sift_up(heap, keys, place, m, found_time, place[m])
    out = np.empty((nx, ny, nz))
    for i in range(nx):
        for j in range(ny):
            for k in range(nz):
                out[i, j, k] = time[(i + _HALO) * stride_x + (j + _HALO) * stride_y + k + _HALO]
    return out


@inlined
def _solve(
    n: int,
    strides: IntArray,
    status: npt.NDArray[np.uint8],
    time: FloatArray,
    tau: FloatArray,
    factor: FloatArray,
    squared_slowness: float,
    alpha: FloatArray,
    beta: FloatArray,
    first: FloatArray,
) -> float:
    """The factor tau of a node from its accepted neighbours.

    Each axis contributes a slope (alpha tau - beta), which must not be negative: time grows away from the neighbour it
    is taken from. The sum of squared slopes is the squared slowness. The neighbour reached last is left out as long
    as there is no such solution.

    Where T0 is smallest along an axis, near the plane through the source, no neighbour is upwind though the slope need
    not be 0 at the node: there it is that of T0, with tau constant (level). Leaving it out costs as much as all else.
    """
    count, level = 0, 0.0
    for axis in range(3):
        stride = strides[axis]
        left, right = n - stride, n + stride
        left_time = time[left] if status[left] == _ACCEPTED else np.inf
        right_time = time[right] if status[right] == _ACCEPTED else np.inf
        if left_time == np.inf and right_time == np.inf:
            if factor[left, 0] >= factor[n, 0] and factor[right, 0] >= factor[n, 0]:
                level += factor[n, 1 + axis] ** 2
            continue
        side = -1 if left_time <= right_time else 1
        near, far = n + side * stride, n + 2 * side * stride
        if status[far] == _ACCEPTED and time[far] <= time[near]:
            weight, known = 1.5, 2.0 * tau[near] - 0.5 * tau[far]
        else:
            weight, known = 1.0, tau[near]
        slot = count
        while slot > 0 and first[slot - 1] > time[near]:  # ascending in time
            first[slot], alpha[slot], beta[slot] = first[slot - 1], alpha[slot - 1], beta[slot - 1]
            slot -= 1
        first[slot] = time[near]
        alpha[slot] = weight * factor[n, 0] - side * factor[n, 1 + axis]
        beta[slot] = known * factor[n, 0]
        count += 1
    while count:
        aa, ab, bb = level, 0.0, 0.0
        for a in range(count):
            aa += alpha[a] * alpha[a]
            ab += alpha[a] * beta[a]
            bb += beta[a] * beta[a]
        inner = ab * ab - aa * (bb - squared_slowness)
        if inner >= 0.0:
            found = (ab + np.sqrt(inner)) / aa
            upwind = found * factor[n, 0] >= first[0]
            for a in range(count):
                upwind = upwind and alpha[a] * found >= beta[a]
            if upwind:
                return float(found)
        count -= 1
    return float((first[0] + np.sqrt(squared_slowness)) / factor[n, 0])


@inlined
def _sift_up(heap: IndexArray, keys: FloatArray, place: IndexArray, node: int, key: float, slot: int) -> None:
    """Put a node with its key into a free slot or its own, and move it up until its parent is earlier."""
    while slot > 0:
        parent = (slot - 1) // _ARITY
        if keys[parent] <= key:
            break
        heap[slot], keys[slot] = heap[parent], keys[parent]
        place[heap[slot]] = slot
        slot = parent
    heap[slot], keys[slot] = node, key
    place[node] = slot


@inlined
def _remove_first(heap: IndexArray, keys: FloatArray, place: IndexArray, size: int) -> None:
    """Fill the first slot of a heap that now has `size` nodes with its last one, moved down until all below are later.

    Slots behind the last one hold infinite keys, so that four children can be compared without asking how many are.
    """
    node, key = heap[size], keys[size]
    keys[size] = np.inf
    slot, child = 0, 1
    while child < size:
        left = child if keys[child] <= keys[child + 1] else child + 1
        right = child + 2 if keys[child + 2] <= keys[child + 3] else child + 3
        best = left if keys[left] <= keys[right] else right
        if keys[best] >= key:
            break
        heap[slot], keys[slot] = heap[best], keys[best]
        place[heap[slot]] = slot
        slot, child = best, _ARITY * best + 1
    if size:
        heap[slot], keys[slot] = node, key
        place[node] = slot
