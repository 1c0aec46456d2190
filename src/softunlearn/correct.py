"""Algorithm 1 as one function: influence, weights, correction, and the evidence.

    step 1   how much every training row helps or harms target and utility     influence.py
    step 2   the weights that lower the target at no predicted cost            weights/
    step 3   the head under those weights, at each point of a frontier         unlearning/, path.py

A model whose metric is not above `only_above` is returned as it is. Rows are used for one thing
each: training rows carry the weights, validation rows decide, test rows are only reported on.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import compress
from typing import Any

import numpy as np

from softunlearn.adversary import Adversary
from softunlearn.aims import (
    Wanted,
    named,
    wanted,
)
from softunlearn.correction import Correction, with_choice
from softunlearn.curvature import Automatic, CurvatureSolver
from softunlearn.exceptions import ModelError, Status
from softunlearn.goal import Goal
from softunlearn.influence import Scores, removal_influence
from softunlearn.metrics import passes
from softunlearn.models.adapter import Deep
from softunlearn.network import NetworkOnRows
from softunlearn.objective import HeadObjective
from softunlearn.paths import PATHS, Correctable, HeadOnRows, Path, Relinearised, Start
from softunlearn.paths.frontier import Frontier, Progress
from softunlearn.row_vectors import Directed
from softunlearn.rows import as_rows
from softunlearn.select import RULES, Choice, Rule
from softunlearn.session import Session, timed
from softunlearn.task import Task, read_task
from softunlearn.unlearning import ALGORITHMS, ByTraining, InfluenceUpdate, Unlearner
from softunlearn.weights import (
    SCHEMES,
    ClosedForm,
    Problem,
    TopK,
    Weights,
    WeightScheme,
)


def correct(
    model: Any,
    *,
    train: Any,
    validation: Any,
    test: Any = None,
    choose_on: Any = None,
    metric: str | Wanted | Sequence[str | Wanted] = "demographic_parity",
    hold: str | Wanted | Sequence[str | Wanted] = (),
    algorithm: str | Unlearner = "influence",
    scheme: str | WeightScheme = "soft",
    path: str | Path | None = None,
    only_above: float = 0.0,
    insist: bool = False,
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
        The rows that the model was trained on. They need no group. `Rows.from_parquet` for rows
        that do not fit in memory: one pass over them is made, and n-length results when asked for.
    validation : Rows or tuple (X, y, g)
        Rows that decide: the metric and utility are measured here. Groups `g` are needed for a
        fairness metric, and here only.
    test : Rows or tuple (X, y, g), optional
        Rows that are reported on and play no other part.
    choose_on : Rows or tuple (X, y, g), optional
        Rows on which the points of the frontier are measured and one is chosen; `validation` then
        gives the influences alone. Where a head has more parameters than there are validation
        rows, a correction can follow these one by one, and what it does on them says nothing.
        Default: the validation rows do both, as in the paper. A metric on rows of its own is
        measured there.
    metric : str, Metric, Attack, Adaptive or Target, or a sequence, default="demographic_parity"
        What to bring down: "demographic_parity", "equal_opportunity", "equalized_odds",
        "adversarial_loss", "adaptive_loss"; a metric; an attack, for the mean log loss on rows
        that it perturbs once, or `attacks.Adaptive` of it, for rows perturbed anew at every
        point; or a metric on rows of its own. Several are brought down together, each by the
        same part of what it is.
    hold : the same, default=()
        What must not rise meanwhile.
    algorithm : str or Unlearner, default="influence"
        How the head is corrected: "influence" (Eq. 8), "ga_ft", "ft", "ga", "fisher", "ntk",
        "scrub", "bad_teacher", "cf_k", "eu_k", or an object of `softunlearn.unlearning`.
    scheme : str or WeightScheme, default="soft"
        How the weights are chosen: "soft" (Eq. 7), "hard" (remove or keep), or an object.
    path : "relinearised", "straight" or Path, optional
        How the full correction is approached: with new influences at every point, or along one
        direction, as in the paper. Default: the former for the influence update with soft
        weights, which alone can take it; with one curvature for the whole way where every new one
        would be another pass over rows that are not in memory.
    only_above : float, default=0.0
        Correct only where the validation metric is larger than this (Algorithm 1's threshold).
    insist : bool, default=False
        Correct even a metric whose 95 % interval contains zero. Otherwise such a metric is left
        alone, and held where others are corrected.
    select : str or rule, default="no_utility_loss"
        Which point of the frontier becomes the model: the best metric at no more than 0.002 of
        validation accuracy, "full" for the last point, "none" for an audit that changes
        nothing, or `Select(...)`.
    curvature : CurvatureSolver, optional
        How the Hessian is solved with. Default: `curvature.Automatic()`, a dense factor where it
        is small in memory and time, else conjugate gradients; `c.influence.solver` says which.
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
    wants, names = wanted(metric, "metric")
    holds, _ = wanted(hold, "hold")
    algorithm_ = named(algorithm, ALGORITHMS, Unlearner, "algorithm")
    scheme_ = named(scheme, SCHEMES, WeightScheme, "scheme")
    rule = named(select, RULES, Rule, "select")
    parts = {"train": train, "validation": validation, "test": test, "choose_on": choose_on}
    given = {name: as_rows(part, name) for name, part in parts.items() if part is not None}
    in_memory = given["train"].in_memory
    path_ = _path(path, algorithm_, scheme_, in_memory=in_memory)
    if isinstance(algorithm_, ByTraining) and not in_memory:
        raise ValueError(
            f"{type(algorithm_).__name__} takes training rows in random order, and these are read "
            "in chunks. Give algorithm='influence', 'fisher' or 'ntk', or rows in memory."
        )
    if choose_on is not None and isinstance(algorithm_, ByTraining) and algorithm_.layers > 1:
        raise ValueError("`choose_on` needs an algorithm with layers=1.")
    if isinstance(scheme_, TopK) and (holds or len(wants) > 1):
        raise ValueError(
            "Several metrics, or `hold`, need weights that can weigh one against another: hard "
            "ones look at one target alone. Give scheme='soft' or 'bounded'."
        )
    _check_numbers(only_above, random_state)
    report, seconds = progress or (lambda what, part: None), dict[str, float]()
    clock = partial(timed, seconds)

    with clock("reading rows"):
        report("reading rows", 0.0)
        given = {name: rows if name == "train" else rows.read() for name, rows in given.items()}
        task = read_task(model, given, wants, holds)
        goal, judge, paths = task.goal, task.judge, task.paths
        rows, given = (
            {name: part for name, part in some.items() if name != "choose_on"}
            for some in (task.rows, given)
        )

    with clock("step 1: influence"):
        report("step 1: influence", 0.0)
        to_do = _worth_correcting(goal, only_above, insist)
        if any(to_do):
            goal, judge = goal.only(to_do), judge and judge.only(to_do)
            names, paths = (tuple(compress(given_, to_do)) for given_ in (names, paths))
        solver = curvature or Automatic()
        objective = HeadObjective(goal.original, rows["train"].reporting(report))
        objective = objective.read_once(hessian=True, gram=not _in_curvature(path_))
        scores = _scores(goal, objective, solver)

    with clock("step 2: weights"):
        problem = _problem(goal, scores, scheme_, algorithm_, path_)
        weights = scheme_.solve(problem)

    with clock("step 3: correction"):
        correctable = _correctable(algorithm_, task, scores, goal, random_state)
        start = Start(correctable, goal, problem, scheme_, algorithm_, solver, judge)
        if any(to_do) and weights.change_something:
            frontier = path_.walk(start, report)
            if judge is not None:
                frontier = replace(frontier, rows="rows of choose_on")
            choice = _undiverged(rule.choose(frontier), frontier)
        else:
            frontier = Frontier((start.origin(),))
            choice = _nothing(goal, names, only_above, weights if any(to_do) else None)

    session = Session(
        task.adapter,
        rows,
        given,
        task.evaluator,
        start,
        path_,
        scores,
        task.coding,
        names,
        paths,
        seconds,
    )
    return with_choice(session, frontier, choice)


def _check_numbers(only_above: Any, random_state: Any) -> None:
    """Raise where a number is none, or out of range."""
    if not isinstance(only_above, int | float) or np.isnan(only_above):
        raise ValueError(f"`only_above` must be a number, got {only_above!r}.")
    if not isinstance(random_state, int | np.integer) or random_state < 0:
        raise ValueError(f"`random_state` must be an integer of at least 0, got {random_state!r}.")


def _path(
    path: str | Path | None, algorithm: Unlearner, scheme: WeightScheme, *, in_memory: bool
) -> Path:
    """Return the path that is asked for, or that suits algorithm and scheme."""
    soft = isinstance(scheme, ClosedForm) and scheme.lam == 0
    fits = isinstance(algorithm, InfluenceUpdate) and soft
    if path is None and fits and not in_memory:
        return Relinearised(refresh=None)
    if path is None:
        return PATHS["relinearised" if fits else "straight"]
    found = named(path, PATHS, Path, "path")
    if isinstance(found, Relinearised) and not fits:
        raise ValueError(
            "The relinearised `path` takes algorithm='influence' and scheme='soft'; leave `path` "
            "out, or give path='straight'."
        )
    return found


def _in_curvature(path: Path) -> bool:
    """Return whether the path measures its steps in the training curvature, or in the weights."""
    return isinstance(path, Relinearised) and path.norm == "curvature"


def _worth_correcting(goal: Goal, only_above: float, insist: bool) -> tuple[bool, ...]:
    """Return which targets are above the threshold and, unless insisted on, not just noise."""
    return tuple(
        value > only_above and (insist or 0.0 not in goal.interval(i, goal.original))
        for i, value in enumerate(goal.start.metrics)
    )


def _scores(goal: Goal, objective: HeadObjective, solver: CurvatureSolver) -> Scores:
    """Return the rows' influence on targets, utility and what is held, in this order."""
    head = goal.original
    aims = (*goal.targets, goal.utility, *goal.held)
    gradients = passes.gradients(aims, head)
    return Scores.of(objective, solver.factor(objective), gradients)


def _problem(
    goal: Goal, scores: Scores, scheme: WeightScheme, algorithm: Unlearner, path: Path
) -> Problem:
    """Return step 2's problem.

    Where weights and correction need no influence row by row, all are known by their directions,
    and their length is measured as the path measures it. Rows that are removed whole count with
    their leverage.
    """
    m, values = len(goal.targets), goal.start.metrics
    budget = max(0.0, values[0]) if m == 1 else np.maximum(values, 0.0)
    if isinstance(scheme, ClosedForm) and isinstance(algorithm, InfluenceUpdate):
        vectors = (
            Directed.in_curvature(scores.objective, scores.directions, scores.gradients)
            if _in_curvature(path)
            else Directed(scores.objective, scores.directions)
        )
        return Problem(vectors.some(slice(m)), vectors.some(slice(m, None)), budget)
    influences = scores.values
    if isinstance(scheme, TopK) and goal.original.W.shape[0] == 1:
        h = scores.leverage
        influences = influences if h is None else removal_influence(influences, h)
    return Problem(
        influences[:, 0] if m == 1 else influences[:, :m],
        influences[:, m] if not goal.held else influences[:, m:],
        budget,
    )


def _correctable(
    algorithm: Unlearner,
    task: Task,
    scores: Scores,
    goal: Goal,
    seed: int,
) -> Correctable:
    """Return the head on its features, or the last layers where more are to be trained."""
    if not isinstance(algorithm, ByTraining) or algorithm.layers == 1:
        return HeadOnRows(scores.objective, scores.curvature, goal, seed)
    if not isinstance(task.adapter, Deep):
        raise ModelError(
            f"`layers` is {algorithm.layers}, and only the last layer of this model can be "
            "trained; deeper layers need a torch module."
        )
    aims = (*goal.targets, *goal.held)
    if any(isinstance(one, Adversary) and one.against is None for one in aims) or any(
        getattr(attack, "on", "") == "inputs" for attack in task.evaluator.attacks.values()
    ):
        raise ValueError(
            "An attack that adapts, or is on a network's inputs, needs an algorithm with "
            "layers=1: deeper layers change what it is made against."
        )
    if any(len(one.rows_for(goal.original)) != len(goal.validation) for one in aims):
        raise ValueError("A metric on rows of its own needs an algorithm with layers=1.")
    as_given = replace(scores.objective.rows, X=task.given["train"].X)
    tail = task.adapter.tail(as_given, algorithm.layers)
    return NetworkOnRows(task.adapter, tail, goal, task.given["validation"].X, seed)


def _undiverged(choice: Choice, frontier: Frontier) -> Choice:
    """Return the choice, with what must be said where training ran away."""
    if not frontier[choice.index].reached.diverged:
        return choice
    return Choice(
        choice.index,
        Status.DIVERGED,
        f"Training ran away and was stopped; the best point seen is kept. {choice.message} "
        "Lower the learning rate, or give fewer epochs.",
    )


def _nothing(
    goal: Goal, names: tuple[str, ...], only_above: float, weights: Weights | None
) -> Choice:
    """Return the unchanged model, and why: `weights` if they are the reason."""
    if weights is not None:
        return Choice(0, weights.status, weights.message)
    said = []
    for i, (name, value) in enumerate(zip(names, goal.start.metrics, strict=True)):
        metric = "The metric" if len(names) == 1 else f"{name}"
        if value <= only_above:
            said.append(f"{metric} is {value:.4f} on validation rows, not above {only_above:g};")
        else:
            high = goal.interval(i, goal.original).high
            said.append(
                f"{metric} is {value:.4f} on {len(goal.validation):,} validation rows and cannot "
                f"be told from zero (95 % interval: 0 to {high:.4f}); to correct it would be to "
                "chase noise. Give more validation rows, or insist=True;"
            )
    return Choice(0, Status.NOTHING_TO_CORRECT, f"{' '.join(said)} the model is unchanged.")
