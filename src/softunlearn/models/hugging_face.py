"""transformers: sequence and image classifiers, with what makes inputs of texts and images.

The same as any torch module, but for two things. Rows may be texts or images, which a tokenizer
or image processor turns into inputs batch by batch, or columns of which the model takes some by
name. And a decoder applies its head to every token and returns the logits of one: which one is
read off by giving each token a number of its own in place of its logits. What is not the head is
never touched, so `save_pretrained` and `from_pretrained` work on a corrected model as on any.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from transformers import PreTrainedModel

from softunlearn.array_cache import ArrayCache
from softunlearn.exceptions import InputError, ModelError
from softunlearn.models.torch_batches import LABELS, first_line, loaded
from softunlearn.models.torch_module import TorchModule
from softunlearn.models.torch_running import Call, watched
from softunlearn.rows import Rows, take

HEADS = ("classifier", "score", "classification_head", "logits_proj")
"""What transformers' classifiers call their head, or the part that ends in it."""

COLUMNS = ("text", "image")
"""Columns of texts or images that are taken by name where there are several."""

NO_MAXIMUM = 10**9
"""A tokenizer that knows no longest text says that it is longer than this."""


class HuggingFace(TorchModule):
    """A transformers model for sequence or image classification.

    `su.correct(model, ...)` is the same as `su.correct(HuggingFace(model), ...)`. With a processor
    rows may be texts or images: a list, an array or a Series, a column of a dataframe or of a
    data set, or what a DataLoader gives. Without one they are the model's inputs: a mapping of
    tensors, a data set with such columns, a DataLoader of mappings, a tensor. Columns that the
    model does not take, such as labels, are left out.

    Parameters
    ----------
    model : PreTrainedModel
        Of one label a row. It is not changed; a corrected model is of its class.
    processor : callable, optional
        The model's tokenizer or image processor. Of tokenized rows it is asked for padding alone.
    head : str, optional
        Dotted name of the layer that gives the logits. Default: by the names that transformers'
        classes use, else found by running some rows.
    classes : sequence, optional
        The labels, in the order of the logits. Default 0, 1, ...
    l2 : float, default=0.0
        Penalty on the head, as in `TorchModule`.
    batch_size : int, default=32
        Rows to run at once, and to pad to one length; a DataLoader has its own.
    max_length : int, optional
        Tokens at which a text is cut off. Default: the tokenizer's own, if it has one.
    device, progress, cache
        As in `TorchModule`.

    Raises
    ------
    ModelError
        The model is of another library, a regression or of several labels a row.
    ValueError
        An option is out of range.

    Examples
    --------
    >>> import pytest; _ = pytest.importorskip("transformers")
    >>> import torch
    >>> from transformers import ViTConfig, ViTForImageClassification
    >>> config = ViTConfig(
    ...     hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8,
    ...     image_size=8, patch_size=4, num_labels=3,
    ... )
    >>> adapter = HuggingFace(ViTForImageClassification(config))
    >>> adapter.layer_name, adapter.features({"pixel_values": torch.zeros(5, 3, 8, 8)}).shape
    ('classifier', (5, 8))
    """

    def __init__(
        self,
        model: PreTrainedModel,
        *,
        processor: Callable[..., Any] | None = None,
        head: str | None = None,
        classes: Sequence[Any] | None = None,
        l2: float = 0.0,
        batch_size: int = 32,
        max_length: int | None = None,
        device: torch.device | str | None = None,
        progress: Callable[[str, float], None] | None = None,
        cache: ArrayCache | None = None,
    ) -> None:
        if not isinstance(model, PreTrainedModel):
            raise ModelError(
                f"`model` must be a transformers PreTrainedModel, got {type(model).__name__}."
            )
        if max_length is not None and max_length < 1:
            raise ValueError(f"`max_length` must be at least 1, got {max_length}.")
        _check_problem(model.config)
        super().__init__(
            model,
            head=_named_head(model) if head is None else head,
            classes=classes,
            l2=l2,
            batch_size=batch_size,
            device=device,
            progress=progress,
            cache=cache,
        )
        self.processor = processor
        self.max_length = max_length

    def batches(self, X: Any, size: int | None = None) -> Iterator[Any]:
        """Yield the inputs of consecutive rows, `batch_size` of them or `size` at a time.

        Raises
        ------
        InputError
            The model, or its processor, cannot take such rows.
        """
        if isinstance(X, DataLoader):
            for batch in loaded(X):
                parts = isinstance(batch, list | tuple) and not _is_raw(batch[0])
                yield self._inputs(_first(batch) if parts else batch)
            return
        n, size = len(Rows(X, None)), size or self.batch_size
        for start in range(0, n, size):
            yield self._inputs(take(X, np.arange(start, min(start + size, n))))

    def checked(self, inputs: Any) -> Call:
        """Return what entered and left the head, of a decoder for the token it classifies by."""
        layer = self._layer(self.layer_name)
        with watched({self.layer_name: layer}) as calls, _tokens_numbered(layer):
            output = self.run(inputs)
        call = calls.get(self.layer_name)
        if call is not None and call.output.ndim == 3:
            call = _of_one_token(call, output)
            output = call.output
        return self._confirmed(call, output, inputs)

    def _dependencies(self, X: Any) -> Iterator[bytes | memoryview]:
        """Yield the configuration too, which holds what no layer shows, such as padding."""
        config: Any = self.module.config
        yield config.to_json_string().encode()
        yield from super()._dependencies(X)

    def _inputs(self, rows: Any) -> Any:
        """Return what the model takes of some rows: a mapping, or a tensor of its main input."""
        rows = _columns_or_rows(rows)
        if isinstance(rows, Mapping):
            if known := self._known(rows):
                return self._tensors(known)
            rows = _raw_column(rows)
        if any(isinstance(row, str) for row in rows):
            return self._processed(self._needed("texts"), text=_texts(rows), **self._length())
        if hasattr(rows[0], "convert"):
            self._needed("images")
        if self.processor is not None and self._main == "pixel_values":
            return self._processed(self.processor, images=list(rows))
        return _tensor(self._main, rows)

    @property
    def _main(self) -> str:
        return str(self.module.main_input_name)

    def _known(self, columns: Mapping[str, Any]) -> dict[str, Any]:
        """Return the columns that the model's forward takes, but its labels."""
        takes = inspect.signature(self.module.forward).parameters
        return {name: v for name, v in columns.items() if name in takes and name not in LABELS}

    def _needed(self, what: str) -> Callable[..., Any]:
        if self.processor is None:
            kind = "tokenizer" if what == "texts" else "image_processor"
            raise InputError(
                f"the rows are {what}, and the model takes {self._main!r}; give "
                f"su.models.HuggingFace(model, processor={kind})"
            )
        return self.processor

    def _length(self) -> dict[str, Any]:
        """Return how texts are padded and cut: not at all where no longest one is known."""
        longest = self.max_length or getattr(self.processor, "model_max_length", NO_MAXIMUM)
        cut = {"truncation": True, "max_length": longest} if longest < NO_MAXIMUM else {}
        return {"padding": True, **cut}

    def _processed(self, processor: Callable[..., Any], *rows: Any, **how: Any) -> dict[str, Any]:
        try:
            return self._known(processor(*rows, **how, return_tensors="pt"))
        except (RuntimeError, TypeError, ValueError, LookupError, AttributeError) as error:
            raise InputError(
                f"the processor cannot take these rows: {first_line(error)}"
            ) from error

    def _tensors(self, columns: dict[str, Any]) -> dict[str, Any]:
        """Return columns as tensors, lists of tokens padded to one length."""
        if not any(_is_ragged(column) for column in columns.values()):
            return {name: _tensor(name, column) for name, column in columns.items()}
        pad = getattr(self.processor, "pad", None)
        if pad is None:
            raise InputError(
                "the rows have different numbers of tokens; pad them, or give "
                "su.models.HuggingFace(model, processor=tokenizer)"
            )
        return self._processed(pad, {name: list(column) for name, column in columns.items()})


def _check_problem(config: Any) -> None:
    """Raise where the model's outputs are no logits of classes that exclude each other."""
    problem = getattr(config, "problem_type", None)
    if problem is None and getattr(config, "num_labels", 2) == 1:
        problem = "regression"
    if problem in ("regression", "multi_label_classification"):
        raise ModelError(
            f"The model's problem_type is {problem}, and only single_label_classification can be "
            "corrected: a model with one logit for each of two or more classes."
        )


def _named_head(model: PreTrainedModel) -> str | None:
    """Return the last linear layer of the part that is called a classifier, if there is one."""
    for name in HEADS:
        part = getattr(model, name, None)
        if isinstance(part, nn.Module):
            inner = [path for path, m in part.named_modules() if isinstance(m, nn.Linear)]
            if inner:
                return f"{name}.{inner[-1]}".rstrip(".")
    return None


@contextmanager
def _tokens_numbered(layer: nn.Linear) -> Iterator[None]:
    """Let a layer that is applied to tokens return which token it is in place of its output."""

    def hook(_: nn.Module, __: tuple, output: Tensor) -> Tensor:
        if output.ndim != 3:
            return output
        return _numbers(output.shape[1], output.device)[None, :, None].expand_as(output)

    handle = layer.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


def _numbers(length: int, device: torch.device) -> Tensor:
    """Return a number for each token: uneven, so that no average of tokens passes for another."""
    return torch.arange(1, length + 1, device=device, dtype=torch.float32).log()


def _of_one_token(call: Call, output: Tensor) -> Call:
    """Return what entered and left the head for the token whose number each row returns."""
    n, length, n_logits = call.output.shape
    where = torch.zeros(n, length, dtype=torch.bool)
    if output.shape == (n, n_logits) and bool((output == output[:, :1]).all()):
        where = output[:, :1] == _numbers(length, output.device)
    if not bool((where.sum(dim=1) == 1).all()):
        raise ModelError(
            "The model's head is applied to every token, and it does not return the logits of "
            "one of them; only a model that classifies whole rows by one token can be corrected."
        )
    return Call(call.inputs[where], call.output[where])


def _columns_or_rows(rows: Any) -> Any:
    """Return some rows as a mapping of columns, or as a sequence or tensor of one thing a row."""
    if hasattr(rows, "to_pydict"):
        return rows.to_pydict()
    if hasattr(rows, "columns"):
        return {str(name): list(rows[name]) for name in rows.columns}
    if hasattr(rows, "to_pylist"):
        return rows.to_pylist()
    if hasattr(rows, "iloc"):
        return list(rows)
    if isinstance(rows, list) and isinstance(rows[0], tuple):
        rows = [_first(item) for item in rows]
    if isinstance(rows, list) and isinstance(rows[0], Mapping):
        return {name: [row[name] for row in rows] for name in rows[0]}
    return rows


def _first(parts: Sequence[Any]) -> Any:
    """Return the inputs of (inputs, ...), unless what follows may be an attention mask."""
    shapes = [getattr(part, "shape", ()) for part in parts]
    if any(len(shape) > 0 and shape == shapes[0] for shape in shapes[1:]) and shapes[0][1:]:
        raise InputError(
            "the rows are tuples of several tensors, which have no names; give mappings, such as "
            "{'input_ids': ..., 'attention_mask': ...}"
        )
    return parts[0]


def _is_raw(value: Any) -> bool:
    """Return whether a value is a text or an image."""
    if isinstance(value, str) or hasattr(value, "convert"):  # as images of PIL have
        return True
    return isinstance(value, np.ndarray) and value.ndim > 1


def _raw_column(columns: Mapping[str, Any]) -> Any:
    """Return the one column of texts or images."""
    raw = [str(name) for name, column in columns.items() if _is_raw(column[0])]
    named = [name for name in raw if name in COLUMNS] if len(raw) > 1 else raw
    if len(named) != 1:
        listed = ", ".join(repr(str(name)) for name in columns)
        raise InputError(
            f"of the rows' columns, {listed}, {'several' if raw else 'none'} could be the model's "
            "input; give that column alone, or call it 'text' or 'image'"
        )
    return columns[named[0]]


def _texts(rows: Sequence[Any]) -> list[str]:
    wrong = [row for row in rows if not isinstance(row, str)]
    if wrong:
        raise InputError(
            f"a row is {str(wrong[0])[:40]!r}, a {type(wrong[0]).__name__}, where a text is "
            "needed; fill it in or drop it"
        )
    return [str(row) for row in rows]  # NumPy's strings are of a type of their own


def _is_ragged(column: Any) -> bool:
    rows = column if isinstance(column, list | tuple) else ()
    return len({len(row) for row in rows if hasattr(row, "__len__") and np.ndim(row) == 1}) > 1


def _tensor(name: str, rows: Any) -> Tensor:
    """Return rows of numbers as one tensor."""
    if isinstance(rows, Tensor):
        return rows
    try:
        if isinstance(rows[0], Tensor):
            return torch.stack(list(rows))
        return torch.tensor(np.asarray(rows))
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{name!r} cannot be made a tensor: {first_line(error)}") from error
