import numpy as np
import pytest

from callbacks.class_scores import average_precision, class_scores, precision_recall, votes

NAMES = ("LP", "VT")


@pytest.mark.parametrize("seed", range(5))
def test_macro_figures_are_scikit_learn_s(seed):
    from sklearn.metrics import accuracy_score, precision_recall_fscore_support

    draw = np.random.default_rng(seed)
    true, predicted = (draw.random((2, 200)) < [[0.2], [0.3]]).astype(np.int64)
    precision, recall, f1, _ = precision_recall_fscore_support(true, predicted, average="macro", zero_division=0)
    each = precision_recall_fscore_support(true, predicted, average=None)[1]
    wanted = {"accuracy": accuracy_score(true, predicted), "precision": precision, "recall": recall, "f1": f1}
    wanted |= {"recall_lp": each[0], "recall_vt": each[1]}
    assert class_scores(true, predicted, NAMES) == pytest.approx(wanted)


def test_macro_figures_are_torchmetrics_s_even_where_a_class_is_absent():
    import torch
    from torchmetrics.functional.classification import multiclass_f1_score, multiclass_precision

    for true, predicted in (([0, 0, 0], [0, 0, 0]), ([0, 0, 1], [0, 0, 0]), ([0, 0, 0], [0, 1, 1])):
        found = class_scores(np.array(true), np.array(predicted), NAMES)
        for name, function in (("f1", multiclass_f1_score), ("precision", multiclass_precision)):
            value = function(torch.tensor(predicted), torch.tensor(true), 2, average="macro")
            assert found[name] == pytest.approx(float(value))


def test_table_1_and_all_lp_give_the_known_figures():
    label = np.repeat([0, 1], [262, 77])
    scores = class_scores(label, np.zeros_like(label), NAMES)
    assert 100 * scores["accuracy"] == pytest.approx(77.3, abs=0.05)
    assert 100 * scores["f1"] == pytest.approx(43.6, abs=0.05)
    assert scores["recall_lp"] == 1
    assert scores["recall_vt"] == 0


def test_no_event_has_no_score_and_an_absent_class_no_recall():
    assert class_scores(np.zeros(0, np.int64), np.zeros(0, np.int64), NAMES) == {}
    assert "recall_vt" not in class_scores(np.zeros(3, np.int64), np.zeros(3, np.int64), NAMES)


@pytest.mark.parametrize("levels", [3, 1000])
def test_precision_recall_is_scikit_learn_s(levels):
    from sklearn.metrics import average_precision_score, precision_recall_curve

    draw = np.random.default_rng(levels)
    is_vt = draw.random(300) < 0.25
    score = np.round((0.6 * is_vt + draw.random(300)) * levels) / levels  # with ties
    precision, recall = precision_recall(is_vt, score)
    theirs = precision_recall_curve(is_vt, score)
    np.testing.assert_allclose(precision, theirs[0][::-1])
    np.testing.assert_allclose(recall, theirs[1][::-1])
    assert average_precision(is_vt, score) == pytest.approx(average_precision_score(is_vt, score))


def test_traces_of_an_event_vote_by_their_mean():
    names, mean = votes(["b", "a", "b"], np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7]]))
    assert names == ["b", "a"]
    np.testing.assert_allclose(mean, [[0.6, 0.4], [0.2, 0.8]])
