"""The Gaussian process over tasks and settings, against the textbook's formulas on the whole covariance matrix."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import check_grad

from task2sim_policies.gaussian_process import Covariance, Hyperparameters, Process, _Fit, centred_kernel

Array = NDArray[np.float64]
KERNELS = [centred_kernel(2), centred_kernel(3), centred_kernel(4, np.array([0.0, 1.0, 2.0, 4.0]))]
ALL = np.array(list(itertools.product(range(2), range(3), range(4))))


def problem(seed: int, tasks: int = 4, count: int = 9) -> tuple[Array, NDArray[np.int64], Array]:
    """Distances, levels and scores."""
    generator = np.random.default_rng(seed)
    points = generator.random((tasks, 3))
    distances = np.linalg.norm(points[:, None] - points, axis=2)
    levels = ALL[generator.permutation(len(ALL))[:count]]
    return distances, levels, generator.normal(size=(tasks, count))


def hyperparameters(seed: int) -> Hyperparameters:
    return Hyperparameters(np.random.default_rng(seed).normal(-1.0, 0.7, 6 + len(KERNELS)))


def textbook(
    covariance: Covariance, distances: Array, levels: NDArray[np.int64], scores: Array
) -> tuple[Array, Array]:
    """Means and covariances of all tasks and settings (Rasmussen and Williams, 2006, equations 2.23 and 2.24)."""
    tasks = covariance.tasks(distances, np.eye(len(distances)))
    known = ~np.isnan(scores).ravel()
    inner = np.kron(tasks, covariance.settings(levels, levels))[np.ix_(known, known)]
    across = np.kron(tasks, covariance.settings(ALL, levels))[:, known]
    inverse = np.linalg.inv(inner + covariance.hyperparameters.noise * np.eye(known.sum()))
    means = across @ inverse @ scores.ravel()[known]
    return means.reshape(len(tasks), -1), np.kron(tasks, covariance.settings(ALL, ALL)) - across @ inverse @ across.T


@pytest.mark.parametrize("kernel", KERNELS)
def test_parameter_kernels_are_centred_and_positive(kernel: Array) -> None:
    assert kernel.sum(axis=0) == pytest.approx(np.zeros(len(kernel)), abs=1e-9)
    assert np.trace(kernel) == pytest.approx(len(kernel))
    assert np.linalg.eigvalsh(kernel).min() > -1e-9


def test_numbers_are_alike_when_they_are_near_and_names_all_the_same() -> None:
    numbers, names = centred_kernel(4, np.arange(4.0)), centred_kernel(4)
    assert numbers[0, 1] > numbers[0, 2] > numbers[0, 3]
    assert names[0, 1] == names[0, 2] == names[0, 3]
    assert (centred_kernel(2) == [[1, -1], [-1, 1]]).all()
    assert not centred_kernel(1).any()
    assert not centred_kernel(1, np.array([3.0])).any()


@given(st.integers(0, 10**6))
@settings(max_examples=15, deadline=None)
def test_predicts_as_the_textbook_does(seed: int) -> None:
    distances, levels, scores = problem(seed)
    covariance = Covariance(KERNELS, hyperparameters(seed))
    process = Process(covariance, distances, levels, scores)
    expected, covariances = textbook(covariance, distances, levels, scores)
    means, variances = process.predict(distances, np.eye(4), ALL)
    assert means == pytest.approx(expected, abs=1e-8)
    assert variances.ravel() == pytest.approx(np.diag(covariances), abs=1e-8)
    first = process.covariances(distances[0], np.eye(4)[0], ALL)
    assert first == pytest.approx(covariances[: len(ALL), : len(ALL)], abs=1e-8)


@given(st.integers(0, 10**6))
@settings(max_examples=15, deadline=None)
def test_missing_scores_change_nothing_but_that_they_are_missing(seed: int) -> None:
    distances, levels, scores = problem(seed)
    scores[1, 2:] = np.nan
    scores[3, :4] = np.nan
    covariance = Covariance(KERNELS, hyperparameters(seed))
    expected, _ = textbook(covariance, distances, levels, scores)
    means, _ = Process(covariance, distances, levels, scores).predict(distances, np.eye(4), ALL)
    assert means == pytest.approx(expected, abs=1e-7)


def test_believing_leaves_expectations_and_takes_doubt() -> None:
    distances, levels, scores = problem(0)
    process = Process(Covariance(KERNELS, hyperparameters(1)), distances, levels, scores)
    untried = next(row for row in ALL if not (levels == row).all(axis=1).any())
    means, variances = process.predict(distances, np.eye(4), ALL)
    believed_means, believed_variances = process.believing(untried).predict(distances, np.eye(4), ALL)
    assert believed_means == pytest.approx(means, abs=1e-8)
    assert (believed_variances < variances + 1e-9).all()
    there = (untried == ALL).all(axis=1)
    assert (believed_variances[:, there] < 0.9 * variances[:, there]).all()


def test_the_gradient_is_right() -> None:
    distances, levels, scores = problem(0, count=12)
    fit = _Fit(KERNELS, distances, levels, scores)
    for seed in range(3):
        values = hyperparameters(seed).values
        error = check_grad(lambda v: fit.loss(v)[0], lambda v: fit.loss(v)[1], values)
        assert error < 1e-4 * np.linalg.norm(fit.loss(values)[1])


def test_the_loss_is_the_negative_log_density() -> None:
    distances, levels, scores = problem(0)
    fit = _Fit(KERNELS, distances, levels, scores)

    def density(values: Array) -> float:
        covariance = Covariance(KERNELS, Hyperparameters(values))
        whole = np.kron(covariance.tasks(distances, np.eye(4)), covariance.settings(levels, levels))
        whole += covariance.hyperparameters.noise * np.eye(len(whole))
        prior = ((values - fit._mean) / fit._deviation) ** 2
        return float(
            -0.5
            * (scores.ravel() @ np.linalg.solve(whole, scores.ravel()) + np.linalg.slogdet(whole)[1] + prior.sum())
        )

    some, others = hyperparameters(1).values, hyperparameters(2).values
    assert fit.loss(others)[0] - fit.loss(some)[0] == pytest.approx(density(some) - density(others))


def test_finds_which_parameters_matter_and_how_much_is_noise() -> None:
    generator = np.random.default_rng(0)
    kernels = [centred_kernel(2)] * 6
    levels = np.array(list(itertools.product(range(2), repeat=6)))
    signs = 2.0 * levels - 1.0
    for noise in (0.05, 0.6):
        scores = 0.8 * signs[:, 1] + 0.5 * signs[:, 4] + noise * generator.normal(size=(5, 64))
        process = Process.fitted(kernels, np.ones((5, 5)) - np.eye(5), levels, scores)
        found = process.covariance.hyperparameters
        assert set(np.argsort(-found.weights)[:2]) == {1, 4}
        assert found.noise == pytest.approx(noise**2, rel=0.4)
        means, _ = process.predict(process.distances, np.eye(5), levels)
        assert np.abs(means - 0.8 * signs[:, 1] - 0.5 * signs[:, 4]).max() < noise


@pytest.mark.parametrize("tasks", [1, 3])
@pytest.mark.parametrize("count", [1, 5])
def test_degenerate_tables_give_finite_expectations(tasks: int, count: int) -> None:
    for distances in (np.zeros((tasks, tasks)), np.ones((tasks, tasks)) - np.eye(tasks)):
        process = Process.fitted(KERNELS, distances, ALL[:count], np.zeros((tasks, count)))
        means, variances = process.predict(distances, np.eye(tasks), ALL)
        assert np.abs(means).max() < 1e-6
        assert np.isfinite(variances).all()
