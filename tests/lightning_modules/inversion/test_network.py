"""InversionNet: the published size, other sampling, and one network whatever the number of processes."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from lightning_modules.errors import ModuleError
from lightning_modules.inversion.network import InversionNet, n_time_stages

ROOT = Path(__file__).resolve().parents[3]

PROCESSES = """
import sys, torch
from torch.nn.parallel import DistributedDataParallel
from lightning_modules.inversion.network import InversionNet

def train(rank, seismic, target):
    torch.manual_seed(0)
    network = InversionNet(32, 0.05).double()
    wrapped = network if rank is None else DistributedDataParallel(network)
    optimizer = torch.optim.SGD(network.parameters(), 0.1)
    mine = slice(None) if rank is None else slice(rank, None, 2)
    for _ in range(3):
        optimizer.zero_grad()
        (wrapped(seismic[mine]) - target[mine]).square().mean().backward()
        optimizer.step()
    return torch.cat([value.flatten().double() for value in network.state_dict().values()])

def process(rank, path):
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{path}", rank=rank, world_size=2)
    generator = torch.Generator().manual_seed(1)
    seismic = torch.randn(6, 5, 32, 70, generator=generator, dtype=torch.float64)
    target = torch.rand(6, 1, 70, 70, generator=generator, dtype=torch.float64)
    together = train(rank, seismic, target)
    torch.distributed.destroy_process_group()
    torch.testing.assert_close(together, train(None, seismic, target), rtol=1e-6, atol=1e-9)

if __name__ == "__main__":
    torch.multiprocessing.start_processes(process, (sys.argv[1],), nprocs=2, start_method="fork")
"""


def test_the_published_network_has_the_published_size():
    network = InversionNet()
    assert sum(weight.numel() for weight in network.parameters()) == pytest.approx(24.41e6, abs=0.005e6)
    assert network.encoder[-3].kernel_size == (8, 9)


@pytest.mark.parametrize(("n_time", "stages"), [(1000, 4), (500, 3), (334, 3), (250, 2), (125, 1), (10, 1), (1, 1)])
def test_shorter_gathers_go_through_fewer_stages_in_time(n_time, stages):
    network = InversionNet(n_time, 0.05)
    gathers = torch.randn(2, 5, n_time, 70)
    velocity = network(gathers)
    assert n_time_stages(n_time) == stages
    assert velocity.shape == (2, 1, 70, 70)
    assert network.encoder(gathers).shape[2:] == (1, 1)
    assert velocity.abs().max() <= 1


def test_what_is_not_looked_at_does_not_matter():
    network = InversionNet(101, 0.05, keep_every=2).eval()
    gathers = torch.randn(2, 5, 101, 70)
    velocity = network(gathers)
    gathers[:, :, 1::2] = 0.0
    assert torch.equal(network(gathers), velocity)
    plain = InversionNet(51, 0.05).eval()
    plain.load_state_dict(network.state_dict())
    assert torch.equal(plain(gathers[:, :, ::2]), velocity)


def test_the_gain_lifts_what_is_small_and_keeps_zero():
    amplitude = torch.tensor([-1.0, 0.0, 0.01, 1.0])
    seen = []
    network = InversionNet(16, 0.05, input_gain=30.0).eval()
    network.encoder[0].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    network((amplitude - 0.09)[:, None, None, None].expand(4, 5, 16, 70))
    values = seen[0][:, 0, 0, 0]
    torch.testing.assert_close(values, torch.asinh(30 * amplitude), atol=1e-5, rtol=0)
    assert values[2] / values[3] > 7 * 0.01


def test_every_weight_learns():
    network = InversionNet(125, 0.1)
    network(torch.randn(3, 5, 125, 70)).square().mean().backward()
    assert all(weight.grad is not None and torch.isfinite(weight.grad).all() for weight in network.parameters())


def test_it_learns_to_tell_gathers_apart():
    torch.manual_seed(0)
    network = InversionNet(16, 0.1)
    seismic = torch.randn(16, 5, 16, 70)
    target = torch.linspace(-0.9, 0.9, 16)[:, None, None, None].expand(16, 1, 70, 70)
    optimizer = torch.optim.AdamW(network.parameters(), 3e-3)
    for _ in range(60):
        optimizer.zero_grad()
        error = network(seismic) - target
        loss = error.abs().mean() + error.square().mean()
        loss.backward()
        optimizer.step()
    assert loss < 0.15


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_time": 0}, "n_time: got 0"),
        ({"width": 0.0}, "width: got 0.0; give a factor"),
        ({"keep_every": 0}, "keep_every: got 0"),
        ({"input_gain": -1.0}, "input_gain: got -1"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(ModuleError, match=message):
        InversionNet(**settings)


def test_gathers_of_another_sampling_are_refused():
    with pytest.raises(ModuleError, match=r"got gathers \(5, 125, 70\).*built for \(5, 250, 70\)"):
        InversionNet(250, 0.05)(torch.zeros(1, 5, 125, 70))


def test_two_processes_train_the_network_that_one_trains(tmp_path):
    script = tmp_path / "processes.py"
    script.write_text(PROCESSES)
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "meet")],
        env={"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "PATH": "/usr/bin:/bin"},
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
