"""Wrong input across the suite, as a table: each is told in one sentence, with a status, and leaves nothing behind.

A case names a program, what is put into its folder beforehand, its options and parts of the message. Programs run in
this process through their real `main`. What association makes of wrong files stands beside it, in
`tests/experiments/association/test_cli_mistakes.py` and `test_files.py`.
"""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from tests.datamodules.fake_openfwi import fake_maps, write_family

ROOT = Path(__file__).parents[1]
Prepare = Callable[[Path], object]


@dataclass(frozen=True)
class Mistake:
    """One wrong input.

    Args:
        program: Module with a `main`.
        options: Of the command line; `{here}` is the test's folder.
        says: What the message must have in it.
        before: Makes files in the test's folder.
        environment: Variables set.
        status: Exit status.
    """

    program: str
    options: str
    says: tuple[str, ...]
    before: Prepare = lambda here: None
    environment: Mapping[str, str] = field(default_factory=dict)
    status: int = 2


def text(name: str, content: str) -> Prepare:
    """A text file."""

    def write(here: Path) -> None:
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        (here / name).write_text(content)

    return write


def maps(change: Callable[[np.ndarray], np.ndarray]) -> Prepare:
    """OpenFWI's tree of FlatVel-A, its second file changed."""

    def write(here: Path) -> None:
        base = write_family(here / "data", "FlatVel-A", 10)
        np.save(base / "model" / "model2.npy", change(fake_maps(5, seed=1)[:, None]))

    return write


def _with_nan(values: np.ndarray) -> np.ndarray:
    values[2, 0, 30, 40] = np.nan
    return values


def cut(here: Path) -> None:
    """A map file that was not downloaded to its end."""
    base = write_family(here / "data", "FlatVel-A", 10)
    path = base / "model" / "model2.npy"
    path.write_bytes(path.read_bytes()[:-1000])


def gathers_of_other_maps(here: Path) -> None:
    """Seismic files with one gather too few."""
    base = write_family(here / "data", "FlatVel-A", 10, seismic=True)
    path = base / "data" / "data3.npy"
    np.save(path, np.load(path)[:-1])


def speed(shape: tuple[int, ...]) -> Prepare:
    """An overthrust model of some shape."""
    return lambda here: np.save(here / "overthrust_32.npy", np.ones(shape))


def volcano(lp: np.ndarray | None, vt: np.ndarray | None, name: str = "lp") -> Prepare:
    """A folder with published-like files of a volcano, one data set a file."""

    def write(here: Path) -> None:
        import h5py

        (here / "Mine").mkdir()
        for file, values in (("lp", lp), ("vt", vt)):
            if values is not None:
                with h5py.File(here / "Mine" / f"{file}.hdf5", "w") as out:
                    out[name] = values
        (here / "Mine" / "volcano.yaml").write_text("sampling_rate_hz: 100\n")

    return write


def waves(n: int, seed: int = 0) -> np.ndarray:
    """Some records `(n, 3000, 1)`."""
    return np.random.default_rng(seed).standard_normal((n, 3000, 1)).astype(np.float32)


def catalogue(picks: str = "", stations: str = "", velocity: str = "") -> Prepare:
    """Files of a catalogue, some of them replaced."""
    good_stations = "station_id,latitude,longitude,elevation_m\nA,42.0,13.0,100\nB,42.1,13.1,200\nC,42.2,13.0,300\n"
    good_picks = "station_id,phase_time,phase_type\nA,2016-10-14T00:00:01,P\nB,2016-10-14T00:00:02,P\n"
    good_picks += "C,2016-10-14T00:00:03,P\n"
    good_velocity = "depth_km,vp_km_s,vs_km_s\n0,5,3\n10,6,3.5\n"

    def write(here: Path) -> None:
        (here / "picks.csv").write_text(picks or good_picks)
        (here / "stations.csv").write_text(stations or good_stations)
        (here / "model.csv").write_text(velocity or good_velocity)

    return write


U, H, C, A = "ubdiff", "harpa", "cubism", "catalogue.program"
HERE = "--cache_root {here}/cache --run_root {here}/runs"
UB = f"run --preset tiny --config {ROOT}/tests/smoke.yaml {HERE}"
REAL = f"{UB} --data_root {{here}}/data --shared.data.n_test_pairs 4"
HA = f"run --preset tiny --config {ROOT}/tests/smoke_harpa.yaml {HERE}"

CU = f"run --preset tiny --config {ROOT}/tests/smoke_cubism.yaml {HERE}"
MINE = f"{CU} --source {{here}}/Mine"
AS = "--picks {here}/picks.csv --stations {here}/stations.csv --velocity {here}/model.csv --out {here}/out"

MISTAKES: dict[str, Mistake] = {
    # -- what is asked for ---------------------------------------------------------------------------------------------
    "no such preset": Mistake(U, "run --preset tinny", ("--preset tinny", "did you mean 'tiny'")),
    "no such variant": Mistake(U, "run --preset tiny --variant joined", ("--variant joined", "'joint'")),
    "no such stage": Mistake(U, "fit --stage paird --preset tiny", ("--stage paird", "'paired'")),
    "no such data set": Mistake(U, f"{UB} --dataset FlatVel-C", ("FlatVel-C", "FlatVel-B")),
    "no such wave speed": Mistake(H, f"{HA} --wave_speed granite", ("granite", "overthrust")),
    "an option nobody knows": Mistake(U, f"{UB} --latent 3", ("--latent", "--help")),
    "an option without its value": Mistake(U, f"{UB} --shared.model.latent_dim", ("model.latent_dim", "VALUE")),
    "no such block": Mistake(U, f"{UB} --autoencodr.trainer.max_epochs 3", ("'autoencodr'", "'autoencoder'")),
    "no such setting": Mistake(U, f"{UB} --shared.model.latent_dims 3", ("latent_dims",)),
    "text for a number": Mistake(U, f"{UB} --shared.model.latent_dim large", ("latent_dim",)),
    "seed in words": Mistake(U, f"{UB} --seed one", ("--seed one", "whole number")),
    "negative seed": Mistake(U, f"{UB} --seed -1", ("seed",)),
    "devices in words": Mistake(U, f"{UB} --devices two", ("--devices two", "whole number")),
    "a budget in seconds": Mistake(U, f"{UB} --autoencoder.trainer.max_time 00:00:10:00", ("max_time", "max_epochs")),
    "stages that disagree": Mistake(U, f"{UB} --diffusion.model.latent_dim 8", ("latent_dim", "--shared.")),
    "a decoder nobody wrote": Mistake(U, f"{UB} --shared.model.seismic_decoder magic", ("seismic_decoder",)),
    "a sampler nobody wrote": Mistake(U, f"{UB} --shared.model.sampler euler", ("sampler",)),
    "no batch": Mistake(U, f"{UB} --shared.data.batch_size 0", ("batch_size",)),
    "no pairs": Mistake(U, f"{UB} --shared.data.n_pairs 0", ("n_pairs",)),
    "more pairs than maps": Mistake(U, f"{UB} --shared.data.n_pairs 5000", ("n_pairs", "5000")),
    "nothing to generate": Mistake(U, f"{UB} --generate.data.n_generated 0", ("n_generated",)),
    "strides that do not fit": Mistake(U, f"{UB} --shared.model.velocity_strides [3]", ("strides",)),
    "no stations": Mistake(H, f"{HA} --shared.model.n_stations 0", ("n_stations",)),
    "no field of that kind": Mistake(H, f"{HA} --shared.model.field magic", ("field",)),
    "no trials": Mistake(H, f"{HA} --association.data.n_trials 0", ("n_trials",)),
    "a latent code without numbers": Mistake(
        H, f"{HA} --wave_speed grf --shared.model.latent_dim 0", ("latent_dim",)
    ),
    "more fields than modes": Mistake(
        H, f"{HA} --wave_speed grf --shared.data.n_modes 2 --shared.data.max_fields 3", ("max_fields", "n_modes")
    ),
    "a confusion that is not reached": Mistake(
        H, f"{HA} --association.data.least_confusion 1.5", ("least_confusion",)
    ),
    # -- settings files ------------------------------------------------------------------------------------------------
    "no such file": Mistake(U, "run --preset tiny --config {here}/none.yaml", ("none.yaml", "cannot be read")),
    "no YAML": Mistake(
        U, "run --preset tiny --config {here}/a.yaml", ("a.yaml, line", "not valid YAML"), text("a.yaml", "a: [1\nb: }")
    ),
    "a list": Mistake(U, "run --preset tiny --config {here}/a.yaml", ("found a list",), text("a.yaml", "- a\n- b\n")),
    "a block without names": Mistake(
        U, "run --preset tiny --config {here}/a.yaml", ("'shared'", "wanted names"), text("a.yaml", "shared: 3\n")
    ),
    "a binary file": Mistake(
        U, "run --preset tiny --config {here}/a.yaml", ("a.yaml",), lambda p: (p / "a.yaml").write_bytes(b"\xff\xfe\0")
    ),
    # -- OpenFWI's files -----------------------------------------------------------------------------------------------
    "no such folder": Mistake(U, REAL, ("data", "FlatVel-A")),
    "an empty folder": Mistake(U, REAL, ("FlatVel-A",), lambda here: (here / "data").mkdir()),
    "maps of another size": Mistake(U, REAL, ("model2.npy", "70"), maps(lambda values: values[:, :, :60])),
    "maps in km/s": Mistake(U, REAL, ("model2.npy", "m/s"), maps(lambda values: values / 1000)),
    "NaN in a map": Mistake(U, REAL, ("model2.npy", "NaN"), maps(_with_nan)),
    "a file cut short": Mistake(U, REAL, ("model2.npy",), cut),
    "a file that is no array": Mistake(U, REAL, ("model2.npy",), lambda here: (
        write_family(here / "data", "FlatVel-A", 10) / "model" / "model2.npy").write_text("<html>404</html>")),
    "gathers of other maps": Mistake(U, REAL, ("data3.npy",), gathers_of_other_maps),
    # -- wave speeds ---------------------------------------------------------------------------------------------------
    "no overthrust file": Mistake(H, f"{HA} --data_root {{here}}/none", ("none", "overthrust_32.npy")),
    "an overthrust in two dimensions": Mistake(
        H, f"{HA} --data_root {{here}}", ("overthrust_32.npy", "32"), speed((32, 32))
    ),
    "a constant overthrust": Mistake(H, f"{HA} --data_root {{here}}", ("overthrust_32.npy",), speed((32, 32, 32))),
    # -- volcanoes -----------------------------------------------------------------------------------------------------
    "no such method": Mistake(C, f"{CU} --method dan", ("--method dan", "dann")),
    "no such volcano": Mistake(C, f"{CU} --source Vesuvius", ("Vesuvius", "Llaima")),
    "the same volcano twice": Mistake(C, f"{CU} --source Llaima --target Llaima", ("Llaima",)),
    "no such representation": Mistake(C, f"{CU} --shared.model.representation latents", ("representation", "latent")),
    "an image of no size": Mistake(C, f"{CU} --shared.data.size 0", ("size",)),
    "no pretrained weights": Mistake(C, f"{CU} --shared.model.pretrained no.pth", ("no.pth", "scratch")),
    "a volcano without one class": Mistake(C, MINE, ("Mine", "VT"), volcano(waves(9), None)),
    "a constant record": Mistake(C, MINE, ("lp.hdf5", "constant"), volcano(np.ones((9, 3000, 1)), waves(9))),
    "NaN in a record": Mistake(C, MINE, ("lp.hdf5", "NaN"), volcano(np.full((9, 3000, 1), np.nan), waves(9))),
    "an HDF5 file that is none": Mistake(
        C, MINE, ("lp.hdf5",), lambda here: (volcano(waves(9), waves(9))(here), text("Mine/lp.hdf5", "<html>")(here))
    ),
    "waveforms that are not there": Mistake(
        "cubism_classify", "--checkpoint {here}/a.ckpt --waveforms {here}/none --out {here}/out.csv", ("none",)
    ),
    # -- catalogues of picks -------------------------------------------------------------------------------------------
    "picks of an unknown station": Mistake(
        A, AS, ("picks.csv", "Z"), catalogue("station_id,phase_time,phase_type\nZ,2016-10-14T00:00:01,P\n")
    ),
    "a station twice": Mistake(
        A, AS, ("stations.csv", "A"),
        catalogue(stations="station_id,latitude,longitude,elevation_m\nA,42,13,1\nA,42,13,1\n"),
    ),
    "picks without a time": Mistake(A, AS, ("picks.csv",), catalogue("station_id,phase_type\nA,P\n")),
    "a phase that is neither P nor S": Mistake(
        A, AS, ("picks.csv", "row"), catalogue("station_id,phase_time,phase_type\nA,2016-10-14T00:00:01,Q\n")
    ),
    "a model whose depths fall": Mistake(
        A, AS, ("model.csv",), catalogue(velocity="depth_km,vp_km_s,vs_km_s\n10,6,3.5\n0,5,3\n")
    ),
    "an empty file of picks": Mistake(A, AS, ("picks.csv",), catalogue(picks=" ")),
    "a velocity of no known kind": Mistake(A, AS.replace("model.csv", "model.txt"), ("model.txt",), catalogue()),
    "results over the input": Mistake(A, AS.replace("/out", ""), ("holds the input",), catalogue()),
    # -- folders and weights -------------------------------------------------------------------------------------------
    "a run root that is a file": Mistake(
        U, UB.replace("{here}/runs", "{here}/file"), ("file", "cannot be written"), text("file", "")
    ),
    "a cache root that is a file": Mistake(
        U, UB.replace("{here}/cache", "{here}/file"), ("file",), text("file", "")
    ),
    "a stage before the one it needs": Mistake(
        U, UB.replace("run ", "fit --stage diffusion ", 1), ("paired is not finished", "run it first")
    ),
    "a stage that does not fit": Mistake(U, UB.replace("run ", "fit --stage generate ", 1), ("does not fit",)),
    "weights that are not there": Mistake(
        U, f"{UB} --autoencoder.model.initial_weights {{here}}/none.ckpt", ("none.ckpt",)
    ),
    "weights that are none": Mistake(
        U, f"{UB} --autoencoder.model.initial_weights {{here}}/a.ckpt", ("a.ckpt",), text("a.ckpt", "not weights")
    ),
    # -- the other programs --------------------------------------------------------------------------------------------
    "no such grid": Mistake("ablation", "ubdiff --grid freez --run_root {here}", ("freez", "freeze")),
    "no such row": Mistake("association_benchmark", "--only knwon --run_root {here}", ("knwon",)),
    "no such figure": Mistake("harpa_figures.__main__", "--only fig16 --out {here}/out", ("fig16",)),
    "seeds in words": Mistake("association_benchmark", "--seeds a-b --run_root {here}", ("a-b",)),
    "a report of nothing": Mistake("report_html", "{here}/none", ("none",)),
    # -- the environment -----------------------------------------------------------------------------------------------
    "a mode that W&B does not have": Mistake(
        U, UB, ("WANDB_MODE",), environment={"WANDB_MODE": "sometimes"}
    ),
    "a key that W&B refuses": Mistake(
        U, UB, ("W&B", "WANDB_MODE=offline"), environment={"WANDB_MODE": "online", "WANDB_API_KEY": "short"}
    ),
}  # fmt: skip


def main_of(program: str) -> Callable[[list[str]], int]:
    """The `main` of a program; UB-Diff has none of its own."""
    module = importlib.import_module(f"experiments.{program}")
    if program == "ubdiff":
        return lambda options: int(module.main(module.EXPERIMENT, options))
    main: Callable[[list[str]], int] = module.main
    return main


def files_below(folder: Path) -> dict[str, bytes]:
    """All files of a folder, but those of a stage that was begun: its record, the lock, finished cache files."""
    kept = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_file() and not name.startswith(("cache/", "runs/")):
            kept[name] = path.read_bytes()
    return kept


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_told_in_one_sentence(mistake, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, value in mistake.environment.items():
        monkeypatch.setenv(name, value)
    mistake.before(tmp_path)
    given = files_below(tmp_path)
    options = [part.replace("{here}", str(tmp_path)) for part in mistake.options.split()]
    try:
        status = main_of(mistake.program)(options)
    except SystemExit as stop:  # argparse's own way
        status = stop.code
    said = [line for line in capsys.readouterr().err.splitlines() if "error: " in line]
    assert status == mistake.status
    assert len(said) == 1, said
    for part in mistake.says:
        assert part in said[0]
    assert said[0].rstrip().endswith((".", "?", ")"))
    assert files_below(tmp_path) == given, "something was changed or left"
    assert not list(tmp_path.rglob("*.partial"))
    assert not list(tmp_path.rglob("metrics.json")), "a run that failed has no results"
