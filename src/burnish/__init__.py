"""Burnish fine-tunes language models and lets one out only with proof of what the tuning did to it."""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "run": "burnish.pipeline",
    "load_recipe": "burnish.recipe",
    "Recipe": "burnish.recipe",
    "BurnishError": "burnish.errors",
    "load_release": "burnish.release.load",
    "Trust": "burnish.release.signing",
}
__all__ = ["BurnishError", "Recipe", "Trust", "__version__", "load_recipe", "load_release", "run"]


def __getattr__(name: str) -> Any:
    """Public names are imported when first used, so that `import burnish` stays quick and loads no torch."""
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'burnish' has no attribute {name!r}")
