"""Algorithm 1 as one function: influence, weights, correction, and the evidence.

    step 1   how much every training row helps or harms target and utility     influence.py
    step 2   the weights that lower the target at no predicted cost            weights/
    step 3   the head under those weights, at each point of a frontier         unlearning/, path.py

A model whose metric is not above `only_above` is returned as it is. Rows are used for one thing
each: training rows carry the weights, validation rows decide, test rows are only reported on.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from softunlearn.attacks import Attack, Boundary
from softunlearn.correction import Correction, Session, evaluate_splits, with_choice
from softunlearn.curvature import Cholesky, Curvature, CurvatureSolver
from softunlearn.evaluation import Evaluator
from softunlearn.exceptions import ModelError, Status
from softunlearn.head import LinearHead
from softunlearn.influence import Influence, influence, leverage, stationarity
from softunlearn.metrics import (
    DemographicParity,
    EqualizedOdds,
    EqualOpportunity,
    LogLoss,
    Metric,
    Target,
)
from softunlearn.metrics.gaps import positive_class
from softunlearn.models import Encoder, ModelAdapter, adapt
from softunlearn.models.adapter import Deep
from softunlearn.network import NetworkOnRows
from softunlearn.objective import HeadObjective
from softunlearn.path import STEPS, Correctable, HeadOnRows, walk
from softunlearn.rows import Rows, as_rows
from softunlearn.select import RULES, Choice, Rule
from softunlearn.unlearning import ALGORITHMS, ByTraining, Unlearner
from softunlearn.weights import SCHEMES, Problem, Weights, WeightScheme, conditions

METRICS: dict[str, Metric | Attack] = {
    "demographic_parity": DemographicParity(),
    "equal_opportunity": EqualOpportunity(),
    "equalized_odds": EqualizedOdds(),
    "adversarial_loss": Boundary(),
}
"""The targets that a string names."""

Progress = Callable[[str, float], None]


def correct(
    model: Any,
    *,
    train: Any,
    validation: Any,
    test: Any = None,
    metric: str | Metric | Attack | Target = "demographic_parity",
    algorithm: str | Unlearner = "influence",
    scheme: str | WeightScheme = "soft",
    only_above: float = 0.0,
    select: str | Rule = "no_utility_loss",
    curvature: CurvatureSolver | None = None,
    random_state: int = 0,
    progress: Progress | None = None,
) -> Correction:
    """Correct a trained classifier by re-weighting its training rows, without retraining it.

    Parameters
    ----------
    model : estimator or nn.Module or ModelAdapter
        A trained model with a linear head: a scikit-learn logistic regression or MLPClassifier,
        bare or at the end of a Pipeline, or a torch module; `models.TorchModule(module, ...)`
        where one needs options. It is not changed.
    train : Rows or tuple (X, y)
        The rows that the model was trained on. They need no group.
    validation : Rows or tuple (X, y, g)
        Rows that decide: the metric and utility are measured here. Groups `g` are needed for a
        fairness metric, and here only.
    test : Rows or tuple (X, y, g), optional
        Rows that are reported on and play no other part.
    metric : str, Metric, Attack or Target, default="demographic_parity"
        What to bring down: "demographic_parity", "equal_opportunity", "equalized_odds",
        "adversarial_loss"; a metric; an attack, for the mean log loss under it; or a metric on
        rows of its own.
    algorithm : str or Unlearner, default="influence"
        How the head is corrected: "influence" (Eq. 8), "ga_ft", "ft", "ga", "fisher", "ntk",
        "scrub", "bad_teacher", "cf_k", "eu_k", or an object of `softunlearn.unlearning`.
    scheme : str or WeightScheme, default="soft"
        How the weights are chosen: "soft" (Eq. 7), "hard" (remove or keep), or an object.
    only_above : float, default=0.0
        Correct only where the validation metric is larger than this (Algorithm 1's threshold).
    select : str or rule, default="no_utility_loss"
        Which point of the frontier becomes the model: the best metric at no more than 0.002 of
        validation accuracy, "full" for the whole step, "none" for an audit that changes
        nothing, or `Select(...)`.
    curvature : CurvatureSolver, optional
        How the Hessian is solved with. Default: `Cholesky()`.
    random_state : int, default=0
        Seed of algorithms that draw random numbers.
    progress : callable, optional
        Called with what is being done and the part of it that is done, 0 to 1.

    Returns
    -------
    Correction

    Raises
    ------
    ModelError
        The model has no linear head.
    InputError
        Some rows cannot be used; the message says which and why.
    ValueError
        An option is unknown.

    References
    ----------
    Algorithm 1.

    Examples
    --------
    >>> import softunlearn as su
    >>> from sklearn.linear_model import LogisticRegression
    >>> data = su.datasets.load("census", n_rows=4000)
    >>> model = LogisticRegression().fit(data.train.X, data.train.y)
    >>> c = su.correct(model, train=data.train, validation=data.validation, test=data.test)
    >>> c.status
    <Status.CORRECTED: 'CORRECTED'>
    >>> gap = "demographic_parity"
    >>> c.after.test.gaps[gap].probabilities < c.before.test.gaps[gap].probabilities
    True
    """
    algorithm_ = _named(algorithm, ALGORITHMS, Unlearner, "algorithm")
    scheme_ = _named(scheme, SCHEMES, WeightScheme, "scheme")
    rule = _named(select, RULES, Rule, "select")
    metric_ = _named(metric, METRICS, Metric | Attack | Target, "metric")
    _check_numbers(only_above, random_state)
    report, clock = progress or (lambda what, part: None), _Clock()

    with clock("reading rows"):
        report("reading rows", 0.0)
        given = {"train": as_rows(train, "train"), "validation": as_rows(validation, "validation")}
        if test is not None:
            given["test"] = as_rows(test, "test")
        adapter, encoder, rows = _encoded(model, given, metric_)
        head = encoder.head
        attack = metric_ if isinstance(metric_, Attack) else Boundary()
        target = _target(metric_, encoder, rows["validation"])
        evaluator = Evaluator(head, attack, _positive(metric_, head), encoder.groups)

    with clock("step 1: influence"):
        report("step 1: influence", 0.0)
        objective = HeadObjective(head, rows["train"])
        factored = (curvature or Cholesky()).factor(objective)
        utility = Target(LogLoss(), rows["validation"])
        gradients = np.stack([target.gradient(head), utility.gradient(head)], axis=1)
        scores, residual = influence(objective, factored, gradients)

    problem = Problem(scores[:, 0], scores[:, 1], budget=float(target.value(head)))
    with clock("step 2: weights"):
        weights = scheme_.solve(problem)

    with clock("step 3: correction"):
        to_correct = problem.budget > only_above and bool((weights.eps != 0).any())
        correctable = _correctable(
            algorithm_, adapter, objective, factored, target, given, rows, random_state
        )
        frontier = walk(
            correctable,
            problem,
            scheme=scheme_,
            algorithm=algorithm_,
            steps=STEPS if to_correct else (),
            progress=report,
        )
        choice = (
            rule.choose(frontier) if to_correct else _nothing(problem.budget, only_above, weights)
        )
        if frontier[choice.index].reached.diverged:
            choice = replace(
                choice,
                status=Status.DIVERGED,
                message=f"Training ran away and was stopped; the best point seen is kept. "
                f"{choice.message} Lower the learning rate, or give fewer epochs.",
            )

    with clock("diagnostics"):
        report("diagnostics", 0.0)
        influences = Influence(scores[:, 0], scores[:, 1], leverage(objective, factored), residual)
        theorem = conditions(objective, factored, gradients[:, 0], gradients[:, 1])
        gradient_norm = stationarity(objective)
        unfinished = factored.solve(objective.total_gradient()[:, None]).x[:, 0]
        drift = -float((gradients[:, 0] * unfinished).sum())

    with clock("evaluation"):
        report("evaluation", 0.0)
        before = evaluate_splits(evaluator, head, rows)
    unchosen = Correction(
        model=model,
        weights=np.zeros(len(given["train"])),
        status=Status.NOTHING_TO_CORRECT,
        message="",
        influence=influences,
        frontier=frontier,
        chosen=0,
        before=before,
        after=before,
        target=_name(metric),
        conditions=theorem,
        stationarity=gradient_norm,
        drift=drift,
        timings=clock.seconds,
        session=Session(adapter, rows, given, evaluator, problem, scheme_, algorithm_),
    )
    return with_choice(unchosen, choice)


def influence_scores(
    model: Any,
    train: Any,
    targets: Target | Sequence[Target],
    *,
    curvature: CurvatureSolver | None = None,
) -> np.ndarray:
    """Return the influence of every training row on each target, step 1 alone.

    Parameters
    ----------
    model : estimator
        A trained model with a linear head; it is not changed.
    train : Rows or tuple (X, y)
        The rows that the model was trained on.
    targets : Target or sequence of m Target
        Metrics, each on rows of its own, as the model takes them.
    curvature : CurvatureSolver, optional
        How the Hessian is solved with. Default: `Cholesky()`.

    Returns
    -------
    ndarray of shape (n, m)
        Predicted change of each metric when the row is removed, in the metric's own unit;
        negative: the row harms.

    Raises
    ------
    ModelError, InputError
        As `correct`.

    References
    ----------
    Eq. 3 to 5 at eps = -1.

    Examples
    --------
    >>> import softunlearn as su
    >>> from sklearn.linear_model import LogisticRegression
    >>> data = su.datasets.load("census", n_rows=500)
    >>> model = LogisticRegression().fit(data.train.X, data.train.y)
    >>> target = su.Target(su.metrics.DemographicParity(), data.validation)
    >>> su.influence_scores(model, data.train, [target]).shape
    (300, 1)
    """
    given = as_rows(train, "train")
    adapter = adapt(model, given.X)
    head = adapter.head(len(given))
    encoder = Encoder(adapter, head)
    objective = HeadObjective(head, encoder.encode(given, "train", train=True))
    targets = [targets] if isinstance(targets, Target) else list(targets)
    if not targets or not all(isinstance(target, Target) for target in targets):
        raise TypeError("`targets` must be one su.Target(metric, rows) or more of them.")
    encoded = [
        _encode_target(encoder, target, f"targets[{i}]") for i, target in enumerate(targets)
    ]
    gradients = np.stack([target.gradient(head) for target in encoded], axis=1)
    return influence(objective, (curvature or Cholesky()).factor(objective), gradients)[0]


def _check_numbers(only_above: Any, random_state: Any) -> None:
    """Raise where a number is none, or out of range."""
    if not isinstance(only_above, int | float) or np.isnan(only_above):
        raise ValueError(f"`only_above` must be a number, got {only_above!r}.")
    if not isinstance(random_state, int | np.integer) or random_state < 0:
        raise ValueError(f"`random_state` must be an integer of at least 0, got {random_state!r}.")


def _encoded(
    model: Any, given: dict[str, Rows], metric: Metric | Attack | Target
) -> tuple[ModelAdapter, Encoder, dict[str, Rows]]:
    """Return the model's adapter, and all rows as its head sees them, checked."""
    adapter = adapt(model, given["train"].X)
    encoder = Encoder(adapter, adapter.head(len(given["train"]))).with_groups_of(*given.values())
    compares = not isinstance(metric, Attack | Target) and metric.needs_groups
    rows = {
        name: encoder.encode(
            part, name, groups=compares and name == "validation", train=name == "train"
        )
        for name, part in given.items()
    }
    return adapter, encoder, rows


def _encode_target(encoder: Encoder, target: Target, name: str) -> Target:
    """Return a user's target on the head's inputs."""
    rows = as_rows(target.rows, name)
    needed = target.metric.needs_groups
    encoded = encoder.with_groups_of(rows).encode(rows, name, groups=needed)
    return replace(target, rows=encoded)


def _target(metric: Metric | Attack | Target, encoder: Encoder, validation: Rows) -> Target:
    """Return what is to be brought down, on the head's inputs."""
    if isinstance(metric, Target):
        return _encode_target(encoder, metric, "metric.rows")
    if isinstance(metric, Attack):
        perturbed = metric.perturb(encoder.head, validation.X)
        return Target(LogLoss("mean"), validation.with_features(perturbed))
    return Target(metric, validation)


def _correctable(
    algorithm: Unlearner,
    adapter: ModelAdapter,
    objective: HeadObjective,
    curvature: Curvature,
    target: Target,
    given: dict[str, Rows],
    rows: dict[str, Rows],
    seed: int,
) -> Correctable:
    """Return the head on its features, or the last layers where more are to be trained."""
    if not isinstance(algorithm, ByTraining) or algorithm.layers == 1:
        return HeadOnRows(objective, curvature, target, rows["validation"], seed)
    if not isinstance(adapter, Deep):
        raise ModelError(
            f"`layers` is {algorithm.layers}, and only the last layer of this model can be "
            "trained; deeper layers need a torch module."
        )
    if len(target.rows) != len(rows["validation"]):
        raise ValueError("A metric on rows of its own needs an algorithm with layers=1.")
    as_given = replace(rows["train"], X=given["train"].X)
    X = given["validation"].X
    tail = adapter.tail(as_given, algorithm.layers)
    return NetworkOnRows(adapter, tail, rows["validation"], X, target, X, seed)


def _positive(metric: Metric | Attack | Target, head: LinearHead) -> int | None:
    """Return the class whose rates are reported; None for several classes and none named."""
    named = getattr(metric.metric if isinstance(metric, Target) else metric, "positive", None)
    if named is None and len(head.classes) > 2:
        return None
    return positive_class(named, np.zeros((1, head.W.shape[0])))


def _nothing(metric: float, only_above: float, weights: Weights) -> Choice:
    """Return the unchanged model, and why."""
    if metric > only_above:
        return Choice(0, weights.status, weights.message)
    return Choice(
        0,
        Status.NOTHING_TO_CORRECT,
        f"The metric is {metric:.4f} on validation rows, not above {only_above:g}; "
        "the model is unchanged.",
    )


def _named(value: Any, names: dict[str, Any], kind: Any, argument: str) -> Any:
    """Return the object that a string names, or the object itself."""
    if isinstance(value, str) and value in names:
        return names[value]
    if isinstance(value, kind) and not isinstance(value, str | type):
        return value
    wrong = ValueError if isinstance(value, str) else TypeError
    raise wrong(
        f"`{argument}` must be one of {', '.join(map(repr, names))} or an object, got {value!r}."
    )


def _name(metric: Any) -> str:
    if isinstance(metric, str):
        return metric
    return type(metric.metric if isinstance(metric, Target) else metric).__name__


class _Clock:
    """Seconds spent in each named part."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, part: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[part] = time.perf_counter() - start
