from importlib import import_module
from types import ModuleType


def require(module: str, extra: str) -> ModuleType:
    """Import an optional dependency.

    Args:
        module (`str`): The module to import, for example `"matplotlib.pyplot"`.
        extra (`str`): The extra of s1-hf that installs it, for example `"plot"`.

    Raises:
        ModuleNotFoundError: If the module, or one that it imports, is not installed. The message names the missing
            module and the command that installs it. Any other import error is passed on unchanged.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"`{module}` cannot be imported because `{error.name}` is not installed. "
            f"It comes with an extra of s1-hf: pip install 's1-hf[{extra}]'",
            name=error.name,
        ) from error
