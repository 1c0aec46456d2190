"""Influence scores by other libraries, as their documentation says to use them.

Run by `peers.py`, in an environment that has these libraries. The data are in memory, in one
batch, as torch tensors of 32 bits: their default, and their fastest way. A validation "sample" is
all validation rows together, so that each library solves for one gradient.
"""

import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from measured import Problem, run
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset, TensorDataset

Solve = Callable[[], np.ndarray]


class Data(Dataset):
    """Samples, each of some rows: of one row, or of all validation rows together."""

    def __init__(self, x: torch.Tensor, y: torch.Tensor) -> None:
        self.x, self.y = x, y

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        return self.x[index], self.y[index]

    def __getitems__(self, index: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
        return self.x[index], self.y[index]

    def loader(self) -> DataLoader:
        """Return all samples as one batch, indexed at once rather than collated one by one."""
        return DataLoader(self, batch_size=len(self), collate_fn=lambda batch: batch)


def tensors(problem: Problem) -> tuple[torch.nn.Module, Data, Data]:
    """Return the model, the training samples and the validation sample."""
    k, d = problem["W"].shape
    model = torch.nn.Linear(d, k, bias=False)
    with torch.no_grad():
        model.weight.copy_(torch.as_tensor(problem["W"], dtype=torch.float32))
    of_class = torch.float32 if k == 1 else torch.int64

    def tensor(X: str, y: str) -> tuple[torch.Tensor, torch.Tensor]:
        return (
            torch.as_tensor(problem[X], dtype=torch.float32),
            torch.as_tensor(problem[y], dtype=of_class),
        )

    (X, y), (X_v, y_v) = tensor("X", "y"), tensor("X_v", "y_v")
    return model, Data(X[:, None, :], y[:, None]), Data(X_v[None], y_v[None])


def loss(z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return the mean log loss of rows, however they are grouped."""
    k = z.shape[-1]
    if k == 1:
        return functional.binary_cross_entropy_with_logits(z.reshape(-1), y.reshape(-1))
    return functional.cross_entropy(z.reshape(-1, k), y.reshape(-1))


def penalty(problem: Problem) -> float:
    """Return the penalty in the convention of a mean over rows."""
    return float(problem["l2"]) / len(problem["X"])


def pydvl(problem: Problem, method: str, loader: str = "one batch", **options: Any) -> Solve:
    """Return pyDVL's scores, the rows from one batch or from torch's loader as it comes."""
    from pydvl.influence import torch as influence  # pyright: ignore

    model, train, validation = tensors(problem)

    def solve() -> np.ndarray:
        if loader == "one batch":
            batches = train.loader()
        else:
            batches = DataLoader(TensorDataset(train.x[:, 0], train.y[:, 0]), batch_size=1000)
        made = getattr(influence, method)(
            model, loss, regularization=penalty(problem), **options
        ).fit(batches)
        return made.influences(validation.x, validation.y, train.x, train.y)[0].numpy()

    return solve


def dattri(problem: Problem, method: str, **options: Any) -> Solve:
    """Return dattri's scores."""
    from dattri.algorithm import influence_function  # pyright: ignore
    from dattri.task import AttributionTask  # pyright: ignore

    model, train, validation = tensors(problem)

    def of(params: Any, data: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        return loss(torch.func.functional_call(model, params, (data[0],)), data[1])

    def solve() -> np.ndarray:
        task = AttributionTask(of, model, model.state_dict())
        made = getattr(influence_function, method)(
            task, regularization=penalty(problem), **options
        )
        made.cache(train.loader())
        return made.attribute(train.loader(), validation.loader())[:, 0].detach().numpy()

    return solve


def captum(problem: Problem) -> Solve:
    """Return captum's naive scores, with as many eigenvectors as there are parameters."""
    from captum.influence import NaiveInfluenceFunction  # pyright: ignore

    model, train, validation = tensors(problem)
    rows = Data(train.x[:, 0], train.y[:, 0])
    others = Data(validation.x[0], validation.y[0])

    def each(z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        if z.shape[1] > 1:
            return functional.cross_entropy(z, y, reduction="none")
        return functional.binary_cross_entropy_with_logits(z[:, 0], y, reduction="none")

    setattr(each, "reduction", "none")  # noqa: B010 - how captum is told

    def solve() -> np.ndarray:
        with tempfile.TemporaryDirectory() as folder:
            path = f"{folder}/model.pt"
            torch.save(model.state_dict(), path)
            made = NaiveInfluenceFunction(
                model,
                rows.loader(),
                path,
                loss_fn=each,
                projection_dim=problem["W"].size,
                hessian_reg=float(problem["l2"]),  # its Hessian is that of the sum
                hessian_inverse_tol=0.0,
            )
            of_each = made.compute_intermediate_quantities(rows.loader())
            of_all = made.compute_intermediate_quantities(others.loader(), aggregate=True)
            return (of_each @ of_all.T)[:, 0].numpy()

    return solve


def kronfluence(problem: Problem) -> Solve:
    """Return kronfluence's EK-FAC scores."""
    from kronfluence.analyzer import Analyzer, prepare_model  # pyright: ignore
    from kronfluence.arguments import FactorArguments, ScoreArguments  # pyright: ignore
    from kronfluence.task import Task  # pyright: ignore
    from kronfluence.utils.dataset import DataLoaderKwargs  # pyright: ignore

    class LogLoss(Task):
        def compute_train_loss(self, batch: Any, model: Any, sample: bool = False) -> torch.Tensor:
            z = model(batch[0])
            z = z.reshape(-1, z.shape[-1])
            y = drawn(z.detach()) if sample else batch[1].reshape(-1)
            if z.shape[1] > 1:
                return functional.cross_entropy(z, y, reduction="sum")
            return functional.binary_cross_entropy_with_logits(z[:, 0], y, reduction="sum")

        def compute_measurement(self, batch: Any, model: Any) -> torch.Tensor:
            return self.compute_train_loss(batch, model)

    def drawn(z: torch.Tensor) -> torch.Tensor:
        if z.shape[1] > 1:
            return torch.multinomial(z.softmax(dim=1), 1)[:, 0]
        return torch.bernoulli(z[:, 0].sigmoid())

    model, train, validation = tensors(problem)
    prepared = prepare_model(torch.nn.Sequential(model), LogLoss())

    def solve() -> np.ndarray:
        with tempfile.TemporaryDirectory() as folder:
            loading = DataLoaderKwargs(collate_fn=lambda batch: batch)
            made = Analyzer(
                "scores",
                prepared,
                LogLoss(),
                cpu=True,
                output_dir=folder,
                disable_model_save=True,
                disable_tqdm=True,
            )
            made.set_dataloader_kwargs(loading)
            made.fit_all_factors(
                "factors",
                train,
                per_device_batch_size=len(train),
                factor_args=FactorArguments(strategy="ekfac"),
            )
            made.compute_pairwise_scores(
                "scores",
                "factors",
                query_dataset=validation,
                train_dataset=train,
                per_device_query_batch_size=1,
                per_device_train_batch_size=len(train),
                score_args=ScoreArguments(damping_factor=penalty(problem)),
            )
            return made.load_pairwise_scores("scores")["all_modules"][0].numpy()

    return solve


METHODS = {
    "pyDVL DirectInfluence": lambda problem, **options: pydvl(
        problem, "DirectInfluence", **options
    ),
    "pyDVL CgInfluence": lambda problem, maxiter=None: pydvl(
        problem, "CgInfluence", maxiter=maxiter, rtol=1e-7, warn_on_max_iteration=False
    ),
    "dattri IFAttributorExplicit": lambda problem: dattri(problem, "IFAttributorExplicit"),
    "dattri IFAttributorCG": lambda problem, maxiter=10: dattri(
        problem, "IFAttributorCG", max_iter=maxiter
    ),
    "captum NaiveInfluenceFunction": captum,
    "kronfluence EK-FAC": kronfluence,
}

if __name__ == "__main__":
    run(METHODS)
