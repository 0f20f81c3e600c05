"""Which map is where: official splits, the last fifth, disjoint parts, prefixes."""

import numpy as np
import pytest

from datamodules.errors import DataError
from datamodules.openfwi_families import FAMILIES
from datamodules.openfwi_files import find_files
from datamodules.openfwi_splits import gathers_in_both_parts, split_maps
from tests.datamodules.fake_openfwi import write_family


def split(root, name="FlatVel-A", n_validation_maps=2, seed=0, only_real_pairs=False):
    files = find_files(FAMILIES[name], root)
    return files, split_maps(files, n_validation_maps=n_validation_maps, seed=seed, only_real_pairs=only_real_pairs)


@pytest.mark.parametrize("name", ["CurveVel-B", "FlatFault-A", "Style-A"])
def test_openfwis_own_split_where_all_files_are_there(tmp_path, name):
    write_family(tmp_path, name, len(FAMILIES[name].files), per_file=2)
    files, parts = split(tmp_path, name)
    assert files.is_complete
    held_out = {files.maps[row // 2].relative_to(files.root).as_posix() for row in parts.test.order}
    assert held_out == FAMILIES[name].held_out_files
    assert len(parts.test.order) == 2 * len(held_out)


@pytest.mark.parametrize(("n_files", "n_held_out"), [(2, 1), (4, 1), (9, 1), (10, 2), (59, 11)])
def test_the_last_fifth_of_the_files_otherwise(tmp_path, n_files, n_held_out):
    write_family(tmp_path, "FlatVel-A", n_files, per_file=3)
    _, parts = split(tmp_path)
    assert sorted(parts.test.order) == list(range(3 * (n_files - n_held_out), 3 * n_files))


def test_the_last_fifth_of_the_samples_of_one_file(tmp_path):
    write_family(tmp_path, "FlatFault-A", 1, per_file=25)
    _, parts = split(tmp_path, "FlatFault-A", n_validation_maps=4)
    assert sorted(parts.test.order) == [20, 21, 22, 23, 24]
    assert sorted(parts.validation.order) == [16, 17, 18, 19]
    assert sorted(parts.train.order) == list(range(16))


def test_parts_are_disjoint_and_cover_everything(tmp_path):
    write_family(tmp_path, "FlatVel-A", 10, per_file=7)
    _, parts = split(tmp_path, n_validation_maps=11)
    orders = [parts.train.order, parts.validation.order, parts.test.order]
    assert sorted(np.concatenate(orders)) == list(range(70))
    assert sorted(parts.validation.order) == list(range(45, 56)), "the end of the training part"


def test_pairs_are_a_prefix_of_a_seeded_permutation_and_among_the_maps(tmp_path):
    write_family(tmp_path, "FlatVel-A", 10, per_file=7)
    _, parts = split(tmp_path)
    train = parts.train
    np.testing.assert_array_equal(train.pairs(20, "n_pairs")[:8], train.pairs(8, "n_pairs"))
    assert set(train.pairs(8, "n_pairs")) <= set(train.maps(10, "n_maps"))
    assert set(train.maps(None, "n_maps")) == set(range(54))
    np.testing.assert_array_equal(split(tmp_path)[1].train.order, train.order)
    assert list(split(tmp_path, seed=1)[1].train.order) != list(train.order)
    assert not np.array_equal(train.order, np.sort(train.order))


def test_only_maps_with_a_gather_are_pairs_of_real_data(tmp_path):
    write_family(tmp_path, "FlatVel-A", 10, per_file=7, seismic=[1, 3, 8])
    files, parts = split(tmp_path, n_validation_maps=3, only_real_pairs=True)
    assert gathers_in_both_parts(files)
    paired = set(range(7, 14)) | set(range(21, 28)) | set(range(56, 63))
    assert sorted(parts.validation.order) == [25, 26, 27], "validation has gathers too"
    assert set(parts.train.pairs(None, "n_pairs")) == set(range(7, 14)) | set(range(21, 25))
    assert set(parts.test.pairs(None, "n_test_pairs")) == paired & set(range(56, 70))
    assert len(parts.train.maps(None, "n_maps")) == 53
    with pytest.raises(DataError, match=r"n_pairs is 12 but the train part has only 11 .*: set n_pairs to 11 or less"):
        parts.train.pairs(12, "n_pairs")


def test_gathers_in_one_part_only_do_not_count(tmp_path):
    write_family(tmp_path, "FlatVel-A", 5, per_file=2, seismic=[0, 1])
    assert not gathers_in_both_parts(find_files(FAMILIES["FlatVel-A"], tmp_path))


def test_too_few_maps(tmp_path):
    write_family(tmp_path, "FlatVel-A", 1, per_file=2)
    with pytest.raises(DataError, match="holds 2 maps: a split needs at least 3"):
        split(tmp_path)
    write_family(tmp_path / "more", "FlatVel-A", 2, per_file=5)
    with pytest.raises(DataError, match=r"n_validation_maps is 5 but 5 training maps .* set it between 1 and 4"):
        split(tmp_path / "more", n_validation_maps=5)
