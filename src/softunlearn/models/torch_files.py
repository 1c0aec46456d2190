"""A torch module's parameters on disk: safetensors, which holds numbers and no code."""

import copy
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_model, save_model
from torch import nn

from softunlearn.exceptions import FileError
from softunlearn.models.torch_running import in_eval_mode


def write_module(module: nn.Module, path: Path) -> None:
    """Write a module's parameters and buffers; shared ones once.

    Raises
    ------
    FileError
        They cannot be written.
    """
    try:
        save_model(module, str(path))
    except (SafetensorError, RuntimeError, ValueError) as error:
        reason = str(error).split("\n")[0].rstrip(".")
        raise FileError(f"The module's parameters cannot be written: {reason}.") from error


def read_module(module: nn.Module, path: Path) -> nn.Module:
    """Return a copy of the module with a file's parameters and buffers, in eval mode.

    Raises
    ------
    FileError
        The file is damaged, or is that of another architecture.
    """
    loaded = in_eval_mode(copy.deepcopy(module))
    try:
        load_model(loaded, str(path))
    except Exception as error:  # a file by a stranger may raise anything in its reader
        raise FileError(
            f"{path} does not hold the parameters of this {type(module).__name__}, or is damaged; "
            "give a module of the architecture that was corrected."
        ) from error
    return loaded
