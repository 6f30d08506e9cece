"""A Gaussian process over (task, setting) pairs, made for scores that form a table: every setting on every task.

The covariance of two scores is a product, one factor for the tasks and one for the settings, plus noise:

* tasks: ``shared + similar * exp(-distance / reach)``, and ``own`` more for a task with itself. What all tasks share,
  what near tasks share, what is a task's own; a task far from all others falls back on what is shared.
* settings: the product over parameters of ``1 + weight * same``, where `same` is a kernel of the parameter's values
  that averages to zero over them. Multiplied out it is an analysis of variance, with a constant, main effects and
  interactions of every order, which are stronger between parameters that matter (Durrande et al., "ANOVA kernels and
  RKHS of zero mean functions", 2013). To it comes `idiosyncrasy`, what a setting has from nowhere, on similar tasks
  alike.

On a table the covariance matrix is a Kronecker product, so T x S scores cost O(T**3 + S**3) and not O((T S)**3) as in
the libraries' general processes (Bonilla et al., "Multi-task Gaussian process prediction", 2008; Saatçi, "Scalable
inference for structured Gaussian process models", 2011).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import attrs
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

Array = NDArray[np.float64]

STEPS = 50
"""At most so many steps of L-BFGS to fit the hyperparameters."""

ROUNDS = 3
"""How often hyperparameters and missing scores are fitted in turn."""


def centred_kernel(count: int, values: Array | None = None) -> Array:
    """How alike two values of one parameter are, with mean zero over the values and mean one on the diagonal.

    Args:
        count: How many values there are.
        values: The values if they are numbers, ascending; None if they are names.

    Returns:
        float64 array of shape (count, count), all zeros if there is one value. For a toggle it is 1 and -1.
    """
    kernel = np.eye(count)
    if values is not None and count > 1:
        position = (values - values[0]) / (values[-1] - values[0])
        # Half the range is a length at which a curve may bend once or twice.
        kernel = np.exp(-0.5 * ((position[:, None] - position) / 0.5) ** 2)
    means = kernel.mean(axis=0)
    kernel = kernel - means[:, None] - means + means.mean()
    scale = float(np.trace(kernel)) / count
    return kernel / scale if scale > 1e-9 else np.zeros_like(kernel)


@attrs.frozen(eq=False)
class Hyperparameters:
    """The covariance's parameters, on unbounded scales.

    Attributes:
        values: float64 array of shape (6 + P,): logarithms of shared, similar, own, reach, idiosyncrasy and the
            noise's variance, then the logits of the parameters' weights.
    """

    values: Array

    @property
    def logarithms(self) -> Array:
        """Shared, similar, own, reach, idiosyncrasy and noise: shape (6,)."""
        return np.exp(self.values[:6])

    @property
    def noise(self) -> float:
        """Variance of what neither task nor setting explain."""
        return float(np.exp(self.values[5]))

    @property
    def weights(self) -> Array:
        """How much each parameter matters: shape (P,), in (0, 1)."""
        return np.asarray(expit(self.values[6:]), dtype=np.float64)


class Covariance:
    """The two factors of the covariance.

    Args:
        kernels: For each parameter the kernel of its levels, from `centred_kernel`.
        hyperparameters: Its parameters.
    """

    def __init__(self, kernels: Sequence[Array], hyperparameters: Hyperparameters) -> None:
        self.kernels = kernels
        self.hyperparameters = hyperparameters

    def tasks(self, distances: Array, same: Array) -> Array:
        """Between tasks, from their distances and whether they are the same; any shape."""
        shared, similar, own, reach, _, _ = self.hyperparameters.logarithms
        return np.asarray(shared + similar * np.exp(-distances / reach) + own * same, dtype=np.float64)

    @property
    def task_variance(self) -> float:
        """Of each task, a new one too, since it has something of its own as well."""
        return float(self.hyperparameters.logarithms[:3].sum())

    def setting_variances(self, levels: NDArray[np.int64]) -> Array:
        """Of each setting (N, P): shape (N,)."""
        product = np.ones(len(levels))
        for parameter, (kernel, weight) in enumerate(zip(self.kernels, self.hyperparameters.weights, strict=True)):
            product *= 1.0 + weight * np.diag(kernel)[levels[:, parameter]]
        return np.asarray(product + self.hyperparameters.logarithms[4], dtype=np.float64)

    def settings(self, some: NDArray[np.int64], others: NDArray[np.int64]) -> Array:
        """Between settings given as levels (N, P) and (M, P): shape (N, M)."""
        product = np.ones((len(some), len(others)))
        for parameter, (kernel, weight) in enumerate(zip(self.kernels, self.hyperparameters.weights, strict=True)):
            product *= 1.0 + weight * kernel[some[:, parameter, None], others[:, parameter]]
        same = (some[:, None] == others).all(axis=2)
        return np.asarray(product + self.hyperparameters.logarithms[4] * same, dtype=np.float64)


class Process:
    """The process, given a table of scores.

    Args:
        covariance: The two factors.
        distances: float64 array of shape (T, T): between the tasks.
        levels: int64 array of shape (S, P): the settings.
        scores: float64 array of shape (T, S), of mean about 0 and variance about 1; NaN where there is none.

    Attributes:
        covariance: The two factors.
        distances: Between the tasks.
        levels: The settings.
        scores: The scores; those that were missing are as expected from the others.
    """

    def __init__(self, covariance: Covariance, distances: Array, levels: NDArray[np.int64], scores: Array) -> None:
        self.covariance = covariance
        self.distances = distances
        self.levels = levels
        tasks = covariance.tasks(distances, np.eye(len(distances)))
        # Distances are no metric, so the factor may have slightly negative eigenvalues.
        values, self._task_axes = np.linalg.eigh(tasks)
        setting_values, self._setting_axes = np.linalg.eigh(covariance.settings(levels, levels))
        self._variances = (
            np.maximum(values, 0.0)[:, None] * np.maximum(setting_values, 0.0) + covariance.hyperparameters.noise
        )
        self.scores = self._completed(scores)
        self._coefficients = self._whitened(self.scores)

    @classmethod
    def fitted(cls, kernels: Sequence[Array], distances: Array, levels: NDArray[np.int64], scores: Array) -> Self:
        """The process with the most probable hyperparameters.

        Their logarithms and logits have wide normal priors, so that few scores, constant ones or a single task give
        sober values. Missing scores are first taken to be average and then what the process expects.
        """
        complete = np.nan_to_num(scores)
        for _ in range(ROUNDS if np.isnan(scores).any() else 1):
            fit = _Fit(kernels, distances, levels, complete)
            process = cls(Covariance(kernels, fit.best()), distances, levels, scores)
            complete = process.scores
        return process

    def predict(self, distances: Array, same: Array, levels: NDArray[np.int64]) -> tuple[Array, Array]:
        """Expected values and variances for some tasks and settings, without noise.

        Args:
            distances: float64 array of shape (N, T): of each task to those of the process.
            same: bool array of shape (N, T): which of them it is, if any.
            levels: int64 array of shape (M, P): the settings.

        Returns:
            Two float64 arrays of shape (N, M).
        """
        between_tasks = self.covariance.tasks(distances, same) @ self._task_axes
        between_settings = self.covariance.settings(levels, self.levels) @ self._setting_axes
        means = between_tasks @ self._coefficients @ between_settings.T
        known = between_tasks**2 @ (1.0 / self._variances) @ (between_settings**2).T
        return means, np.maximum(
            self.covariance.task_variance * self.covariance.setting_variances(levels) - known, 0.0
        )

    def covariances(self, distances: Array, same: Array, levels: NDArray[np.int64]) -> Array:
        """Covariances of the values of some settings (M, P) on one task, as in `predict`: shape (M, M)."""
        between_tasks = self.covariance.tasks(distances, same) @ self._task_axes
        between_settings = self.covariance.settings(levels, self.levels) @ self._setting_axes
        known = (between_settings * (between_tasks**2 @ (1.0 / self._variances))) @ between_settings.T
        prior = self.covariance.task_variance * self.covariance.settings(levels, levels)
        return np.asarray(prior - known)

    def believing(self, level: NDArray[np.int64]) -> Process:
        """The process as if a setting (P,) had scored what is expected of it on every task."""
        expected, _ = self.predict(self.distances, np.eye(len(self.distances)), level[None])
        return Process(
            self.covariance, self.distances, np.vstack([self.levels, level]), np.hstack([self.scores, expected])
        )

    def _whitened(self, scores: Array) -> Array:
        """Scores along the axes, over their variances: shape (T, S)."""
        return np.asarray(self._task_axes.T @ scores @ self._setting_axes / self._variances)

    def _completed(self, scores: Array) -> Array:
        """Missing scores as expected from the others, exactly.

        With A the inverse covariance matrix of the whole table, that is ``-inverse(A[m, m]) A[m, o] y[o]``.
        """
        missing = np.argwhere(np.isnan(scores))
        complete = np.nan_to_num(scores)
        if len(missing):
            rows = (self._task_axes[missing[:, 0], :, None] * self._setting_axes[missing[:, 1], None, :]).reshape(
                len(missing), -1
            )
            precision = (rows / self._variances.ravel()) @ rows.T
            complete[tuple(missing.T)] = -np.linalg.solve(precision, rows @ self._whitened(complete).ravel())
        return complete


class _Fit:
    """The search for the hyperparameters that a complete table of scores makes most probable."""

    def __init__(self, kernels: Sequence[Array], distances: Array, levels: NDArray[np.int64], scores: Array) -> None:
        self._distances = distances
        self._scores = scores
        self._same = [
            kernel[levels[:, parameter, None], levels[:, parameter]] for parameter, kernel in enumerate(kernels)
        ]
        self._equal = (levels[:, None] == levels).all(axis=2).astype(np.float64)
        apart = distances[np.triu_indices(len(distances), 1)]
        reach = float(np.median(apart)) if apart.size else 1.0
        # Reach is near the distance of two tasks at random; half of the scores' variance is noise or so.
        self._mean = np.r_[-1.0, -1.0, -1.0, np.log(max(reach, 1e-3)), -3.0, -2.0, np.full(len(kernels), -1.0)]
        self._deviation = np.r_[2.0, 2.0, 2.0, 1.0, 2.0, 2.0, np.full(len(kernels), 2.0)]

    def best(self) -> Hyperparameters:
        """The most probable ones that are found from the prior's mean."""
        low, high = self._mean - 6 * self._deviation, self._mean + 6 * self._deviation
        # Above this a parameter's levels would determine each other.
        high[6:] = 3.0
        result = minimize(
            self.loss, self._mean, jac=True, method="L-BFGS-B", bounds=list(zip(low, high, strict=True)),
            options={"maxiter": STEPS},
        )  # fmt: skip
        return Hyperparameters(np.asarray(result.x, dtype=np.float64))

    def loss(self, values: Array) -> tuple[float, Array]:
        """Negative logarithm of the posterior density, but for a constant, and its gradient."""
        hyperparameters = Hyperparameters(values)
        shared, similar, own, reach, idiosyncrasy, noise = hyperparameters.logarithms
        weights = hyperparameters.weights
        count = len(self._distances)
        decay = np.exp(-self._distances / reach)
        tasks = shared + similar * decay + own * np.eye(count)
        factors = [1.0 + weight * same for weight, same in zip(weights, self._same, strict=True)]
        product = np.prod(factors, axis=0)
        settings = product + idiosyncrasy * self._equal

        task_values, task_axes = np.linalg.eigh(tasks)
        setting_values, setting_axes = np.linalg.eigh(settings)
        task_values, setting_values = np.maximum(task_values, 0.0), np.maximum(setting_values, 0.0)
        variances = task_values[:, None] * setting_values + noise
        along = task_axes.T @ self._scores @ setting_axes
        inverse = task_axes @ (along / variances) @ setting_axes.T
        away = (values - self._mean) / self._deviation
        loss = 0.5 * float((along**2 / variances).sum() + np.log(variances).sum() + (away**2).sum())

        # Derivatives of the loss by the factors' entries, then by the hyperparameters (chain rule).
        shares = setting_values / variances, task_values[:, None] / variances
        by_tasks = 0.5 * ((task_axes * shares[0].sum(axis=1)) @ task_axes.T - inverse @ settings @ inverse.T)
        by_settings = 0.5 * ((setting_axes * shares[1].sum(axis=0)) @ setting_axes.T - inverse.T @ tasks @ inverse)
        gradient = np.r_[
            shared * by_tasks.sum(),
            similar * (by_tasks * decay).sum(),
            own * np.trace(by_tasks),
            similar * (by_tasks * decay * self._distances).sum() / reach,
            idiosyncrasy * (by_settings * self._equal).sum(),
            0.5 * noise * ((1.0 / variances).sum() - (inverse**2).sum()),
            [
                (by_settings * product / factor * same).sum() * weight * (1.0 - weight)
                for factor, same, weight in zip(factors, self._same, weights, strict=True)
            ],
        ]
        return loss, np.asarray(gradient + away / self._deviation, dtype=np.float64)
