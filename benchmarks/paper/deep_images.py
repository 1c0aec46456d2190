"""ResNet-18 on CIFAR-10, corrected for robustness and for fairness, hard against soft weights.

Of the training images half train the layers before the head, a quarter the head, to its optimum,
as in the paper; that quarter carries the weights. The last quarter gives influences, and
validation images, which played no other part, choose the point: a head of several thousand
parameters follows a few thousand images one by one, so what it does on those it was aimed on says
nothing ("aim also chooses" shows it). The figures are of test images.

*Robustness*: the loss under FGSM on the pixels, through the whole network. *Fairness*: animals
against vehicles, of which some images are tinted red. In training nine in ten animals are, and one
in ten vehicles; of validation and test images half of either, so that a model without the bias
would call tinted and other images animals equally often.
"""

import os
import platform
import time
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from benchmarks.paper.kept import Job
from sklearn.linear_model import LogisticRegression
from torch import nn
from transformers import ResNetConfig, ResNetForImageClassification

import softunlearn as su
from softunlearn.attacks import FGSM, PGD

EPSILON = 2 / 255
"""Of the attacks on pixels, in the largest change of one."""

TINTED = 0.9
"""Part of the training animals that are tinted, and of the vehicles that are not."""

VEHICLES = (0, 1, 8, 9)
"""Airplane, automobile, ship, truck."""

L2 = 1.0
"""Penalty of the head."""


@dataclass(frozen=True)
class Size:
    """How much is run: images, the network's widths, its stem, and epochs.

    `stride` is of the stem, a 3 x 3 convolution; `pool` whether a pooling layer halves its output.
    """

    n_rows: int
    widths: tuple[int, ...]
    depths: tuple[int, ...]
    epochs: int
    stride: int = 2
    pool: bool = True
    pgd_rows: int = 500
    bottleneck: bool = False


SIZES = {
    "tiny": Size(300, (8, 8), (1, 1), 1, pgd_rows=20),
    "small": Size(15_000, (64, 128, 256, 512), (2, 2, 2, 2), 20, pgd_rows=200),
    "resnet50": Size(1000, (256, 512, 1024, 2048), (3, 4, 6, 3), 3, pgd_rows=20, bottleneck=True),
    "full": Size(
        60_000, (256, 512, 1024, 2048), (3, 4, 6, 3), 60, 1, False, 10_000, bottleneck=True
    ),
}
"""`small` is ResNet-18 on a processor with 10,000 training images, `resnet50` says that the path
works with ResNet-50, `full` is ResNet-50 on a GPU."""


def jobs(size: str, seed: int) -> list[Job]:
    """Return the two experiments."""
    settings = {"size": size, "seed": seed}
    if size == "resnet50":
        return [Job(f"deep/{size}/robustness/seed {seed}", robustness, settings, alone=True)]
    return [
        Job(f"deep/{size}/robustness/seed {seed}", robustness, settings, alone=True),
        Job(f"deep/{size}/fairness/seed {seed}", fairness, settings, alone=True),
    ]


def robustness(size: str, seed: int) -> dict[str, Any]:
    """Return what hard and soft weights do to the loss under FGSM on the pixels."""
    parts = _parts(_images(SIZES[size], seed))
    attack = FGSM(EPSILON, norm="linf", on="inputs", clip=(0.0, 1.0))
    classifier, seconds = _trained(parts, SIZES[size], 10, seed)
    ways = {
        "hard": {"scheme": "hard"},
        "soft": {},
        "soft, once": {"path": "straight"},
        "aim also chooses": {"choose_on": None},
    }
    corrections = {
        name: _corrected(classifier, parts, metric=attack, insist=True, **how)
        for name, how in ways.items()
    }
    found = {}
    for scheme, c in corrections.items():
        for name, model in (("before", classifier.adapter), (scheme, _adapted(c.model))):
            if name not in found:
                figures = _on_test(c.before if name == "before" else c.after)
                of_fgsm = figures.robustness["fgsm_linf_inputs"]
                found[name] = {
                    "accuracy": figures.accuracy,
                    "validation": _deciding(c, name),
                    "target": of_fgsm.transfer.loss,
                    "transfer": of_fgsm.transfer.accuracy,
                    "adaptive": of_fgsm.adaptive.accuracy,
                    "pgd": _under_pgd(model, parts["test"], SIZES[size].pgd_rows),
                }
    return _record(size, found, corrections, seconds)


def fairness(size: str, seed: int) -> dict[str, Any]:
    """Return what hard and soft weights do to how often tinted images are called animals."""
    parts = _tinted(_parts(_images(SIZES[size], seed)), seed)
    fewer = replace(SIZES[size], epochs=max(1, SIZES[size].epochs // 4))  # it is soon learnt
    classifier, seconds = _trained(parts, fewer, 2, seed)
    corrections = {
        scheme: _corrected(classifier, parts, metric="demographic_parity", scheme=scheme)
        for scheme in ("hard", "soft")
    }
    found = {}
    for scheme, c in corrections.items():
        for name, figures in (("before", _on_test(c.before)), (scheme, _on_test(c.after))):
            gap = figures.gaps["demographic_parity"]
            found[name] = {
                "accuracy": figures.accuracy,
                "validation": _deciding(c, name),
                "target": gap.probabilities,
                "decisions": gap.labels,
            }
    return _record(size, found, corrections, seconds)


def resnet(size: Size, n_labels: int, seed: int = 0) -> nn.Module:
    """Return transformers' ResNet with a stem for images of 32 x 32, and random weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        config = ResNetConfig(
            embedding_size=size.widths[0] // (4 if size.bottleneck else 1),
            hidden_sizes=list(size.widths),
            depths=list(size.depths),
            layer_type="bottleneck" if size.bottleneck else "basic",
        )
        config.num_labels = n_labels
        model = ResNetForImageClassification(config)
        stem: Any = model.resnet.embedder
        first = stem.embedder.convolution
        stem.embedder.convolution = nn.Conv2d(
            3, first.out_channels, 3, stride=size.stride, padding=1, bias=False
        )
        if not size.pool:
            stem.pooler = nn.Identity()
    return model


@dataclass(frozen=True, eq=False)
class _Trained:
    adapter: Any
    head_rows: su.Rows


def _images(size: Size, seed: int) -> su.datasets.Splits:
    """Return CIFAR-10, or images made up where the size is tiny."""
    if size.n_rows >= 1000:
        return su.datasets.load_images("cifar10", n_rows=size.n_rows, seed=seed)
    rng, parts = np.random.default_rng(seed), []
    for n in (size.n_rows // 3,) * 3:
        y = rng.integers(10, size=n)
        shade = 20 * y[:, None, None, None] + rng.integers(0, 60, size=(n, 3, 32, 32))
        parts.append(su.Rows(shade.astype(np.uint8), y))
    return su.datasets.Splits(*parts)


def _parts(images: su.datasets.Splits) -> dict[str, su.Rows]:
    """Return images as floats from 0 to 1, by what they are for."""

    def floats(rows: su.Rows, some: slice) -> su.Rows:
        return su.Rows(np.asarray(rows.X[some], dtype=np.float32) / 255, rows.y[some])

    train, every = images.train, slice(None)
    return {
        "layers": floats(train, slice(0, None, 2)),
        "head": floats(train, slice(1, None, 4)),
        "aim": floats(train, slice(3, None, 4)),
        "choose": floats(images.validation, every),
        "test": floats(images.test, every),
    }


def _tinted(images: dict[str, su.Rows], seed: int) -> dict[str, su.Rows]:
    """Return animals against vehicles, with groups: tinted red or not."""
    parts, rng = {}, np.random.default_rng(seed + 1)
    for name, part in images.items():
        y = (~np.isin(part.y, VEHICLES)).astype(np.int64)
        often = np.where(y == 1, TINTED, 1 - TINTED) if name in ("layers", "head") else 0.5
        g = rng.random(len(y)) < often
        red = np.array([1.0, 0.0, 0.0], dtype=np.float32)[:, None, None]
        X = np.where(g[:, None, None, None], 0.75 * np.asarray(part.X) + 0.25 * red, part.X)
        parts[name] = su.Rows(X.astype(np.float32), y, np.where(g, "tinted", "plain"))
    return parts


def _trained(
    parts: dict[str, su.Rows], size: Size, n_labels: int, seed: int
) -> tuple[_Trained, Any]:
    """Return the network and its head, each trained on rows of its own."""
    began, layers, rows = time.perf_counter(), parts["layers"], parts["head"]
    model = resnet(size, n_labels, seed)
    _train(model, np.asarray(layers.X), layers.y, size.epochs, seed)
    trained = time.perf_counter()
    y, before = rows.y, _adapted(model)
    phi = before.features(rows.X).astype(np.float64)
    extracted = time.perf_counter()
    head = before.head(len(y))
    fitted = LogisticRegression(C=1 / head.l2, tol=1e-6, max_iter=2000).fit(phi, y)
    theta = np.hstack([fitted.coef_, fitted.intercept_[:, None]]).reshape(-1)
    adapter = _adapted(before.with_head(head.with_theta(theta)))
    seconds = {"training": trained - began, "extraction": extracted - trained}
    return _Trained(adapter, rows), seconds


def _adapted(model: Any) -> Any:
    return su.models.HuggingFace(model, head="classifier.1", l2=L2, batch_size=250)


def _train(model: nn.Module, X: np.ndarray, y: np.ndarray, epochs: int, seed: int) -> None:
    """Train all of it: SGD with one cycle of the rate, images shifted and mirrored at random."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    network: Any = model  # whose types know no memory format
    network.to(device, memory_format=torch.channels_last).train()
    rng, size = np.random.default_rng(seed), 100
    optimiser = torch.optim.SGD(
        model.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4, nesterov=True
    )
    steps = epochs * -(-len(y) // size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 0.1, total_steps=steps)
    for _ in range(epochs):
        order = rng.permutation(len(y))
        for start in range(0, len(y), size):
            some = order[start : start + size]
            images = _varied(torch.tensor(X[some]), rng)
            labels = torch.tensor(y[some]).to(device)
            optimiser.zero_grad()
            with torch.autocast(device, dtype=torch.bfloat16):
                logits = model(images.to(device, memory_format=torch.channels_last)).logits
            nn.functional.cross_entropy(logits.float(), labels).backward()
            optimiser.step()
            schedule.step()
    network.to(memory_format=torch.contiguous_format).eval()


def _varied(images: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Return images, half of them mirrored, all of them shifted alike by up to four pixels."""
    mirrored = torch.tensor(rng.random(len(images)) < 0.5)
    images[mirrored] = images[mirrored].flip(3)
    right, down = rng.integers(9, size=2)
    return nn.functional.pad(images, (4, 4, 4, 4))[:, :, down : down + 32, right : right + 32]


def _corrected(classifier: _Trained, parts: dict[str, su.Rows], **how: Any) -> su.Correction:
    rows: dict[str, Any] = {
        "validation": parts["aim"],
        "choose_on": parts["choose"],
        "test": parts["test"],
    }
    return su.correct(classifier.adapter, train=classifier.head_rows, **(rows | how))


def _deciding(c: su.Correction, name: str) -> float:
    """Return accuracy on the images that choose."""
    return c.frontier[0].accuracy if name == "before" else c.point.accuracy


def _on_test(figures: Any) -> Any:
    return figures.test


def _under_pgd(adapter: Any, rows: su.Rows, n: int) -> float:
    """Return accuracy on about n rows, of all classes, under PGD that adapts to the model."""
    attack = PGD(EPSILON, norm="linf", on="inputs", clip=(0.0, 1.0), steps=5)
    some = slice(None, None, max(1, len(rows) // n))  # the files' order is that of the classes
    X, y = np.asarray(rows.X)[some], np.asarray(rows.y)[some]
    z = adapter.logits(adapter.perturbed_inputs(attack, X, y))
    found = z.argmax(axis=1) if z.shape[1] > 1 else z[:, 0] > 0
    return float(np.mean(found == y))


def _record(size: str, found: Any, corrections: dict[str, su.Correction], seconds: Any) -> Any:
    steps = {scheme: c.timings for scheme, c in corrections.items()}
    return {
        "size": asdict(SIZES[size]),
        "figures": found,
        "status": {scheme: str(c.status) for scheme, c in corrections.items()},
        "seconds": {**seconds, **steps},
        "where": where(),
    }


def where() -> dict[str, Any]:
    """Return on what a result was computed."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {
        "device": gpu or f"processor ({platform.machine()})",
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
    }
