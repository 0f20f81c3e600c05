"""Finding a family's files: both layouts, numeric order, and a clear sentence for each fault."""

import numpy as np
import pytest

from datamodules.errors import DataError
from datamodules.openfwi_families import FAMILIES, family_named
from datamodules.openfwi_files import count_samples, find_files
from tests.datamodules.fake_openfwi import write_family


@pytest.mark.parametrize("name", FAMILIES)
def test_both_layouts_in_numeric_order(tmp_path, name):
    write_family(tmp_path, name, n_files=12, per_file=1, seismic=[0, 10])
    files = find_files(FAMILIES[name], tmp_path)
    assert [path.relative_to(files.root).as_posix() for path in files.maps] == [
        map_name for map_name, _ in FAMILIES[name].files[:12]
    ]
    found = [k for k, path in enumerate(files.seismic) if path is not None]
    assert found == [0, 10]
    assert files.seismic[10].relative_to(files.root).as_posix() == FAMILIES[name].files[10][1]
    assert not files.is_complete


def test_number_of_files_and_official_split():
    # OpenFWI, table 2 and split files: 24k/6k, 48k/6k and 60k/7k samples, 500 a file.
    for name, family in FAMILIES.items():
        n_training, n_held_out = {"Vel": (48, 12), "Fault": (96, 12), "Style": (120, 14)}[
            next(kind for kind in ("Vel", "Fault", "Style") if kind in name)
        ]
        assert len(family.files) == n_training + n_held_out
        assert len(family.held_out_files) == n_held_out
    assert FAMILIES["FlatFault-B"].files[36] == ("vel7_1_0.npy", "seis7_1_0.npy")
    assert {"vel2_1_35.npy", "vel3_1_32.npy"} <= FAMILIES["CurveFault-A"].held_out_files
    assert "vel4_1_31.npy" not in FAMILIES["CurveFault-A"].held_out_files


def test_the_root_may_be_the_familys_folder_and_its_name_may_vary(tmp_path):
    family = FAMILIES["FlatVel-A"]
    base = write_family(tmp_path / "a", family.name, 2, folder="FlatVel_A")
    assert find_files(family, tmp_path / "a").root == find_files(family, base).root == base
    plain = write_family(tmp_path / "b", family.name, 2, folder="my_maps")
    assert find_files(family, plain).root == plain


def test_the_folder_of_another_family_is_not_taken_for_this_one(tmp_path):
    base = write_family(tmp_path, "CurveVel-A", 2)
    with pytest.raises(DataError, match="holds no FlatVel-A maps"):
        find_files(FAMILIES["FlatVel-A"], base)


@pytest.mark.parametrize(
    ("typed", "offered"), [("FlatVel-C", "FlatVel-"), ("FlatVal-A", "FlatVel-A"), ("curvefaultb_", "CurveFault-B")]
)
def test_dataset_names(typed, offered):
    assert family_named("CurveFault-B").name == "CurveFault-B"
    with pytest.raises(DataError, match=f"did you mean {offered}"):
        family_named(typed)
    with pytest.raises(DataError, match="choose from FlatVel-A"):
        family_named("xyzzy")


def test_missing_folder_and_empty_folder(tmp_path):
    with pytest.raises(DataError, match="nowhere is not a folder"):
        find_files(FAMILIES["FlatVel-A"], tmp_path / "nowhere")
    with pytest.raises(
        DataError, match=r"holds no FlatFault-A maps: put vel2_1_0.npy .. vel4_1_35.npy .* from https://"
    ):
        find_files(FAMILIES["FlatFault-A"], tmp_path)


def test_a_partial_or_foreign_file_is_no_map(tmp_path):
    base = write_family(tmp_path, "FlatVel-A", 2)
    (base / "model" / "model3.npy.partial").write_bytes(b"")
    (base / "model" / "model_old.npy").write_bytes(b"")
    assert len(find_files(FAMILIES["FlatVel-A"], tmp_path).maps) == 2


def spoil_empty(path):
    path.write_bytes(b"")


def spoil_truncated(path):
    path.write_bytes(path.read_bytes()[:-1000])


def spoil_header_only(path):
    path.write_bytes(path.read_bytes()[:40])


def spoil_text(path):
    path.write_text("version https://git-lfs.github.com/spec/v1\n")


def spoil_shape(path):
    np.save(path, np.zeros((5, 70, 70), np.float32))


def spoil_no_samples(path):
    np.save(path, np.zeros((0, 1, 70, 70), np.float32))


def spoil_scalar(path):
    np.save(path, np.float32(3))


def spoil_type(path):
    np.save(path, np.zeros((5, 1, 70, 70), np.int16))


def spoil_pickled(path):
    np.save(path, np.array([{}] * 5, dtype=object), allow_pickle=True)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (spoil_empty, r"is empty \(0 bytes\): fetch it again"),
        (spoil_truncated, "is cut short .* its header promises .*: fetch it again"),
        (spoil_header_only, "is not a numpy .npy file"),
        (spoil_text, "is not a numpy .npy file"),
        (spoil_shape, r"has shape \(5, 70, 70\), wanted float32 \(samples, 1, 70, 70\)"),
        (spoil_no_samples, "has shape .0, 1, 70, 70."),
        (spoil_scalar, r"has shape \(\)"),
        (spoil_type, "holds int16, wanted float32"),
        (spoil_pickled, r"has shape \(5,\)"),
    ],
)
def test_each_bad_file_is_named_with_its_mend(tmp_path, spoil, message):
    base = write_family(tmp_path, "FlatVel-A", 3)
    bad = base / "model" / "model2.npy"
    spoil(bad)
    with pytest.raises(DataError, match=message) as caught:
        find_files(FAMILIES["FlatVel-A"], tmp_path)
    assert str(bad) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_maps_and_gathers_must_match(tmp_path):
    base = write_family(tmp_path, "FlatVel-A", 2, seismic=True)
    gathers = np.load(base / "data" / "data2.npy")
    np.save(base / "data" / "data2.npy", gathers[:-1])
    files = find_files(FAMILIES["FlatVel-A"], tmp_path)
    with pytest.raises(DataError, match=r"data2.npy holds 4 gathers but .*model2.npy holds 5 maps"):
        files.check_seismic()
    np.save(base / "data" / "data2.npy", gathers[:, :, ::2])
    with pytest.raises(DataError, match=r"data2.npy has shape .* wanted float32 \(samples, 5, 1000, 70\)"):
        files.check_seismic()


def test_an_unreadable_file(tmp_path):
    (tmp_path / "model1.npy").mkdir()
    with pytest.raises(DataError, match=r"model1.npy cannot be read"):
        count_samples(tmp_path / "model1.npy", (1, 70, 70))
