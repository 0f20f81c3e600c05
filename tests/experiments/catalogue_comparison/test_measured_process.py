"""CPU time, memory and limits of a command that is run and measured."""

import sys

from experiments.catalogue_comparison.measured_process import measure

SPIN = "import time\nwhile time.process_time() < {}: pass"


def test_cpu_and_memory_are_the_commands_own():
    ours = bytearray(400_000_000)  # large here: nothing of it may be counted there
    ours[::4096] = b"1" * len(ours[::4096])
    small = measure([sys.executable, "-S", "-c", SPIN.format(0.3)])
    assert small.status == 0
    assert 0.3 <= small.cpu_s < 3
    assert small.peak_mb < 100
    large = measure([sys.executable, "-S", "-c", "x = bytearray(200_000_000); x[::4096] = b'1' * len(x[::4096])"])
    assert large.peak_mb > 190
    assert len(ours) > 0


def test_one_that_takes_more_than_it_was_given_is_stopped():
    by_cpu = measure([sys.executable, "-S", "-c", SPIN.format(60)], limit_cpu_s=1)
    assert by_cpu.stopped == "1 CPU-s"
    assert by_cpu.status
    by_clock = measure([sys.executable, "-S", "-c", "import time; time.sleep(60)"], timeout_s=0.5)
    assert by_clock.stopped == "0.5 s"


def test_a_failure_is_told_with_what_it_said():
    failed = measure([sys.executable, "-S", "-c", "raise SystemExit('no such thing')"])
    assert (failed.status, failed.stopped, failed.said) == (1, "", ["no such thing"])
    assert measure(["/no/such/program"]).status
