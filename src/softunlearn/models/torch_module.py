"""torch: any module whose logits come out of an nn.Linear, its head.

What enters that layer is the head's features, caught by a hook while the module runs over the rows
in batches, in eval mode and without gradients. On every batch it is checked that the module
returns what the layer gives, and that the layer is linear in its input: so no module is corrected
in a layer that does not decide its predictions. The module, its training flags, buffers, gradients
and the global random state are afterwards what they were; a corrected module is a deep copy, in
eval mode, so that it predicts what was measured.

Two logits z0, z1 are one to the method, z1 - z0 with W = W1 - W0: softmax and sigmoid agree.
"""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from softunlearn.array_cache import ArrayCache, key
from softunlearn.attacks.gradient import GradientAttack
from softunlearn.exceptions import InputError, ModelError
from softunlearn.head import LinearHead
from softunlearn.models.torch_batches import batches, content, first_line, sent, source
from softunlearn.models.torch_inputs import perturbed
from softunlearn.models.torch_running import (
    Call,
    called,
    check_head,
    eager,
    in_eval_mode,
    is_same,
    logits_in,
    on_device,
    undisturbed,
    watched,
)
from softunlearn.models.torch_tail import TorchTail
from softunlearn.rows import Rows

FIRST_ROWS = 8
"""Of an array, so many rows are run to find the layer that gives the logits."""


class TorchModule:
    """A trained torch classifier, corrected in the nn.Linear that gives its logits.

    Needed where a module is to be corrected with options; `su.correct(module, ...)` is the same
    as `su.correct(TorchModule(module), ...)`. Rows may be a tensor, an array, a dataframe of
    numbers, a torch Dataset, or a DataLoader that keeps the rows' order. A batch that is a tuple
    is (inputs, ...); a mapping is given to the module by keyword, without its labels. Floating
    inputs are given in the module's precision, on its device.

    Parameters
    ----------
    module : nn.Module
        Returns logits: a tensor of shape (n, K), of shape (n,) or (n, 1) for one logit, or
        something that holds it as `.logits` or `["logits"]`. It is not changed.
    head : str, optional
        Dotted name of the layer, as in `module.named_modules()`. Default: the linear layer whose
        output the module returns.
    classes : sequence, optional
        The labels, in the order of the logits; one logit is that of the second. Default 0, 1, ...
    l2 : float, default=0.0
        Penalty l2/2 ||W||^2 that the layer was trained under, beside the *sum* of the losses: for
        a mean loss over n rows, n times an optimiser's `weight_decay` (AdamW's, which is no
        penalty, has no such number). A decay of the bias is not modelled.
    batch_size : int, default=256
        Rows to run at once; a DataLoader has its own.
    device : torch.device or str, optional
        Where inputs are sent. Default: where the module's first parameter is.
    forward : callable, optional
        `forward(module, inputs)` returns the logits, where `module(inputs)` does not.
    progress : callable, optional
        Called with what is being done and the part of it that is done, 0 to 1.
    cache : ArrayCache, optional
        Keeps features on disk, by the sha256 of all but the head, and of the rows.

    Raises
    ------
    ModelError
        There is no such layer, or it has no weights of its own.
    ValueError
        An option is out of range.

    Examples
    --------
    >>> import torch
    >>> module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 1))
    >>> adapter = TorchModule(module, l2=0.1)
    >>> adapter.features(torch.ones(5, 3)).shape, adapter.head(5).W.shape
    ((5, 4), (1, 4))
    """

    def __init__(
        self,
        module: nn.Module,
        *,
        head: str | None = None,
        classes: Sequence[Any] | None = None,
        l2: float = 0.0,
        batch_size: int = 256,
        device: torch.device | str | None = None,
        forward: Callable[[nn.Module, Any], Any] | None = None,
        progress: Callable[[str, float], None] | None = None,
        cache: ArrayCache | None = None,
    ) -> None:
        if not isinstance(module, nn.Module):
            raise ModelError(f"`module` must be a torch.nn.Module, got {type(module).__name__}.")
        if batch_size < 1:
            raise ValueError(f"`batch_size` must be at least 1, got {batch_size}.")
        if not 0 <= l2 < np.inf:
            raise ValueError(f"`l2` must be at least 0 and finite, got {l2}.")
        if any(is_lazy(parameter) for parameter in module.parameters()):
            raise ModelError("The module has lazy layers that have not been run yet: train it.")
        self.module = module
        self.classes = None if classes is None else tuple(classes)
        self.l2 = float(l2)
        self.batch_size = batch_size
        self.device = device
        self.forward = forward
        self.progress = progress
        self.cache = cache
        self._named = head  # `head` is the contract's method, so this is no dataclass
        self._layer(self.layer_name)

    @property
    def layer_name(self) -> str:
        """Return the head's name: as told or found, else the last linear layer's."""
        if self._named is not None:
            return self._named
        names = list(self._linear_layers())
        if not names:
            raise ModelError(
                f"The {type(self.module).__name__} has no nn.Linear, and a head is one. End it "
                "in a linear layer that gives the logits."
            )
        return names[-1]

    def batches(self, X: Any, size: int | None = None) -> Iterator[Any]:
        """Yield the inputs of consecutive rows, `batch_size` of them or `size` at a time."""
        return batches(X, size or self.batch_size)

    def located(self, X: Any) -> "TorchModule":
        """Return the adapter that knows which layer gives the logits, by running the first rows.

        Raises
        ------
        ModelError
            None does.
        """
        if self._named is not None:
            return self
        try:
            with undisturbed(self.module):
                name = self._producer(next(self.batches(X, FIRST_ROWS)))
        except (InputError, StopIteration):
            return self  # bad rows, or none: said by whoever encodes them, with their name
        if name is None:
            raise ModelError(self._no_producer())
        known = copy.copy(self)
        known._named = name
        known._layer(name)
        return known

    def head(self, n_rows: int) -> LinearHead:
        """Return the layer in float64, with two logits made one.

        Of two rows of weights under a penalty l2, what is left of it for their difference is
        l2 / 2: at the optimum W1 = -W0, and l2/2 (||W0||^2 + ||W1||^2) = (l2/2) ||W1 - W0||^2 / 2.
        """
        layer = self._layer(self.layer_name)
        W, b, l2 = _float64(layer.weight), _float64(layer.bias), self.l2
        n_classes = max(2, len(W))
        classes = tuple(range(n_classes)) if self.classes is None else self.classes
        if len(classes) != n_classes:
            raise ValueError(
                f"`classes` must have {n_classes} labels, as {self.layer_name!r} has "
                f"{len(W)} logits, got {len(classes)}."
            )
        if len(W) == 2:
            W, b, l2 = W[1:] - W[:1], None if b is None else b[1:] - b[:1], l2 / 2
        return LinearHead(W, b, l2, classes)

    def features(self, X: Any) -> np.ndarray:
        """Return what enters the layer, from the cache where it is there."""
        if self.cache is None:
            return self._extract(X)
        name = key(self._dependencies(X))
        phi = self.cache.get(name)
        if phi is None:
            phi = self._extract(X)
            self.cache.put(name, phi)
        return phi

    def feature_names(self) -> tuple[str, ...] | None:
        """Return one name for each input of the layer; None where they are the module's own."""
        name = self.layer_name
        width = self._layer(name).in_features
        return tuple(f"{name} input {j}" for j in range(width)) if name else None

    def class_weight(self, counts: np.ndarray) -> np.ndarray | None:
        """Return None: a module does not tell. Give them as the rows' weights."""
        return None

    def logits(self, X: Any) -> np.ndarray:
        """Return the layer's output in float64, after checking that the module returns it.

        It is checked in the precision that the module runs in, which may be a poor one.
        """
        return self.head(1).logits(self._extract(X).astype(np.float64))

    def with_head(self, head: LinearHead) -> nn.Module:
        """Return a deep copy with another layer, in eval mode.

        Two logits move by half the change each.
        """
        try:
            module = in_eval_mode(copy.deepcopy(self.module))
        except (RuntimeError, TypeError) as error:
            raise ModelError(f"The module cannot be copied: {first_line(error)}") from error
        layer = eager(module).get_submodule(self.layer_name)
        assert isinstance(layer, nn.Linear)
        # a new parameter, not new values: the old one may be shared with other layers
        layer.weight = _moved(layer.weight, head.W)
        if layer.bias is not None:
            layer.bias = _moved(layer.bias, head.b)
        return module

    def with_model(self, module: nn.Module) -> "TorchModule":
        """Return the same adapter of another module of this architecture, without a cache."""
        adapter = copy.copy(self)
        adapter.module, adapter.cache, adapter._named = module, None, self.layer_name
        return adapter

    def of_copy(self) -> "TorchModule":
        """Return the same adapter of a deep copy of the module, without a cache."""
        return self.with_model(copy.deepcopy(self.module))

    def tail(self, rows: Rows, layers: int) -> TorchTail:
        """Return the last layers as something to train; `rows` as the module takes them."""
        return TorchTail(self, rows, layers)

    def perturbed_inputs(self, attack: GradientAttack, X: Any, y: Any = None) -> Any:
        """Return the rows as an attack through the whole module leaves them.

        Parameters
        ----------
        attack : FGSM or PGD
            With `on="inputs"`. Its `epsilon` and `clip` are in the unit of X.
        X : tensor, array, dataframe, Dataset or DataLoader of n rows, one floating input each
        y : array-like of shape (n,), optional
            Class codes; default: the classes that the module predicts.

        Returns
        -------
        ndarray or tensor of the shape of X
            An array for arrays and dataframes. float32, or float64 of a module in float64.

        Raises
        ------
        InputError
            The rows are no floating numbers, or y is not one class code for each.
        ModelError
            No finite gradient reaches the module's inputs.
        """
        return perturbed(self, attack, X, y)

    def _linear_layers(self) -> dict[str, nn.Linear]:
        named = eager(self.module).named_modules()
        return {name: layer for name, layer in named if isinstance(layer, nn.Linear)}

    def _layer(self, name: str) -> nn.Linear:
        try:
            layer = eager(self.module).get_submodule(name)
        except AttributeError:
            layer = None
        if not isinstance(layer, nn.Linear):
            raise ModelError(
                f"`head` must name a linear layer of the module, got {name!r}; "
                f"they are {_listed(self._linear_layers())}."
            )
        if "weight" not in layer._parameters or not layer.weight.is_floating_point():
            raise ModelError(
                f"The weight of {name!r} is no plain parameter: it is quantised, or computed from "
                "others. Make it plain, with torch.nn.utils.parametrize.remove_parametrizations "
                "or remove_weight_norm."
            )
        return layer

    def _extract(self, X: Any) -> np.ndarray:
        """Return the features of all rows, each batch checked."""
        n, done = len(Rows(X, None)), 0
        phi = np.zeros((0, self._layer(self.layer_name).in_features), dtype=np.float32)
        with undisturbed(self.module):
            for inputs in self.batches(X):
                part = _numpy(self.checked(inputs).inputs)
                if done == 0:
                    phi = np.empty((n, part.shape[1]), dtype=part.dtype)
                if done + len(part) <= n:
                    phi[done : done + len(part)] = part
                done += len(part)
                if self.progress is not None:
                    self.progress("extracting features", min(1.0, done / n))
        if done != n:
            raise InputError(f"X has {n:,} rows, and the module was given {done:,} by its batches")
        return phi

    def run(self, inputs: Any) -> Tensor:
        """Return the logits of a batch."""
        module = eager(self.module)
        parameters = list(module.parameters())
        floating = next(p.dtype for p in parameters if p.is_floating_point())
        inputs = sent(inputs, self.device or parameters[0].device, floating)
        try:
            with on_device(self.batch_size):
                output = (self.forward or called)(module, inputs)
        except (RuntimeError, TypeError, ValueError, LookupError) as error:
            raise InputError(f"the model cannot take these rows: {first_line(error)}") from error
        return logits_in(output)

    def checked(self, inputs: Any) -> Call:
        """Return what entered and left the layer; raise where the latter is not the logits."""
        name = self.layer_name
        with watched({name: self._layer(name)}) as calls:
            output = self.run(inputs)
        return self._confirmed(calls.get(name), output, inputs)

    def _confirmed(self, call: Call | None, output: Tensor, inputs: Any) -> Call:
        """Return the layer's call, if the module returns what came of it."""
        name = self.layer_name
        if call is None or not is_same(call.output, output):
            found = self._producer(inputs)
            if found is None or found == name:
                raise ModelError(self._no_producer())
            raise ModelError(
                f"The module's logits come from its layer {found!r}, not from {name!r}: give "
                f"{type(self).__name__}(module, head={found!r})."
            )
        check_head(name, self._layer(name), call)
        return call

    def _producer(self, inputs: Any) -> str | None:
        """Return the name of the last layer to run whose output the module returns."""
        with watched(self._linear_layers()) as calls:
            output = self.run(inputs)
        return next(
            (name for name in reversed(calls) if is_same(calls[name].output, output)), None
        )

    def _no_producer(self) -> str:
        return (
            f"No linear layer of the {type(self.module).__name__} gives its output: something "
            f"comes after {_listed(self._linear_layers())}, such as a Sigmoid or LogSoftmax. Let "
            "the module return its logits, or give TorchModule a "
            "forward=lambda module, inputs: ... that does."
        )

    def _dependencies(self, X: Any) -> Iterator[bytes | memoryview]:
        """Yield what the features depend on: the rows, and all of the module but the head."""
        module, name = eager(self.module), self.layer_name
        yield repr((name, module)).encode()
        for part in sorted({source(type(part)) for part in module.modules()}):
            yield part.encode()
        yield source(self.forward).encode()
        own = {f"{name}.{part}".lstrip(".") for part in ("weight", "bias")}
        tensors = [*module.named_parameters(remove_duplicate=False), *module.named_buffers()]
        for tensor_name, tensor in tensors:
            if tensor_name not in own:
                yield tensor_name.encode()
                yield from content(tensor)
        with undisturbed(module):
            for inputs in self.batches(X):
                yield from content(inputs)


def _moved(old: Tensor, new: Any) -> nn.Parameter:
    """Return a parameter like the old one with values of a head; two rows move apart by half."""
    values = _float64(old)
    if len(values) == 2:
        change = (new - (values[1:] - values[:1])) / 2
        new = np.concatenate([values[:1] - change, values[1:] + change])
    tensor = torch.tensor(np.asarray(new), dtype=old.dtype, device=old.device)
    return nn.Parameter(tensor, requires_grad=old.requires_grad)


def _float64(tensor: Tensor | None) -> Any:
    return None if tensor is None else tensor.detach().cpu().to(torch.float64).numpy().copy()


def _numpy(tensor: Tensor) -> np.ndarray:
    """Return a tensor as computed, half precisions as float32."""
    wide = tensor.dtype in (torch.float32, torch.float64)
    return (tensor if wide else tensor.float()).detach().cpu().numpy()


def _listed(names: Mapping[str, Any]) -> str:
    return ", ".join(repr(name) for name in names) or "none"
