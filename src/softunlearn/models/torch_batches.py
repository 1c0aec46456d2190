"""Rows as a torch module takes them: batches of inputs, from whatever the user keeps rows in.

A batch that is a tuple or list is (inputs, ...), as torch's own examples have it, and the rest,
labels mostly, is left out. A mapping is left without its labels. So inputs are a tensor, a tuple
of them, or a mapping.
"""

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_array, issparse
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, Dataset, SequentialSampler

from softunlearn.exceptions import InputError
from softunlearn.rows import Rows

LABELS = ("label", "labels")
"""Keys of a mapping that are not the module's input: given its labels, a model returns a loss."""


def batches(X: Any, size: int) -> Iterator[Any]:
    """Yield the inputs of consecutive rows, on whatever device and of whatever type they are.

    Raises
    ------
    InputError
        The rows are not numbers, or a loader does not keep their order.
    """
    if isinstance(X, DataLoader):
        yield from map(_inputs, loaded(X))
        return
    if isinstance(X, Dataset) or (isinstance(X, list) and X and _is_item(X[0])):
        if not hasattr(X, "__len__"):
            raise InputError("a data set must have a length; give one with __len__, not a stream")
        items: Any = X
        yield from map(_inputs, loaded(DataLoader(items, batch_size=size)))
        return
    rows: Any = csr_array(X) if issparse(X) else getattr(X, "iloc", X)  # sliced by position
    for start in range(0, len(Rows(X, None)), size):
        yield _tensor(rows[start : start + size])


def loaded(loader: DataLoader[Any]) -> Iterator[Any]:
    """Yield a loader's batches, if it gives every row once, in order."""
    sampler = loader.batch_sampler
    in_order = (
        type(sampler) is BatchSampler
        and isinstance(sampler.sampler, SequentialSampler)
        and getattr(loader, "in_order", True)  # since torch 2.6
    )
    if not in_order or loader.drop_last:
        raise InputError(
            "the DataLoader must give every row once, in the order of y; make it with "
            "shuffle=False, drop_last=False and no sampler of its own"
        )
    generator = loader.generator
    state = None if generator is None else generator.get_state()
    try:
        yield from loader
    finally:
        if generator is not None and state is not None:
            generator.set_state(state)


def _inputs(batch: Any) -> Any:
    """Return what a module takes of a batch: no labels; several inputs as a tuple."""
    if isinstance(batch, list | tuple):
        first = _inputs(batch[0]) if isinstance(batch[0], Mapping) else batch[0]
        return tuple(first) if isinstance(first, list) else first
    if isinstance(batch, Mapping):
        return {name: value for name, value in batch.items() if name not in LABELS}
    return batch


def _is_item(item: Any) -> bool:
    """Return whether a list of such things is a list of a data set's items, not of numbers."""
    return isinstance(item, Tensor | Mapping) or (
        isinstance(item, tuple) and len(item) > 0 and not np.isscalar(item[0])
    )


def _tensor(rows: Any) -> Tensor:
    """Return rows of numbers as a tensor; a dataframe's columns are all floats."""
    if isinstance(rows, Tensor):
        return rows
    try:
        values = np.asarray(rows.toarray() if hasattr(rows, "toarray") else rows)
        if values.dtype == object or (hasattr(rows, "columns") and values.dtype.kind in "biu"):
            values = values.astype(np.float64)
        return torch.tensor(values)
    except (TypeError, ValueError) as error:
        raise InputError(f"the model cannot take these rows: {first_line(error)}") from error


def sent(inputs: Any, device: torch.device | str, floating: torch.dtype) -> Any:
    """Return copies of inputs on the device, floats in the module's precision.

    A module may work in place on what it is given, and the rows are the user's.
    """
    if isinstance(inputs, Tensor):
        dtype = floating if inputs.is_floating_point() else inputs.dtype
        return inputs.to(device, dtype, copy=True)
    if isinstance(inputs, Mapping):
        return {name: sent(value, device, floating) for name, value in inputs.items()}
    if isinstance(inputs, tuple):
        return tuple(sent(value, device, floating) for value in inputs)
    return inputs


def content(value: Any) -> Iterator[bytes | memoryview]:
    """Yield what tells inputs from others: names, shapes, types and bytes."""
    if isinstance(value, Tensor):
        flat = value.detach().cpu().contiguous().reshape(-1)
        yield repr((tuple(value.shape), value.dtype)).encode()
        yield flat.view(torch.uint8).numpy().data
    elif isinstance(value, Mapping):
        for name in sorted(value):
            yield str(name).encode()
            yield from content(value[name])
    elif isinstance(value, tuple):
        for part in value:
            yield from content(part)
    else:
        yield repr(value).encode()


def source(thing: Any) -> str:
    """Return a class's or function's name, and its code where it is not torch's own."""
    name = f"{getattr(thing, '__module__', '')}.{getattr(thing, '__qualname__', repr(thing))}"
    if name.startswith("torch."):
        return name
    try:
        return name + inspect.getsource(thing)
    except (OSError, TypeError):  # typed at a prompt
        return name


def first_line(error: BaseException) -> str:
    """Return an error's first line, or its type where it says nothing."""
    return str(error).strip().split("\n")[0] or type(error).__name__
