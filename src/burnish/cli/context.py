"""How long a row a model can read, as its configuration says; found without loading the model."""

from __future__ import annotations

import json

from burnish.models.settings import ModelSettings


def context_of(settings: ModelSettings) -> int | None:
    """The model's longest row in tokens, or None when it doesn't say.

    Raises: ModelError when the model can't be had.
    """
    from burnish.models.load import resolve_folder

    try:
        config = json.loads((resolve_folder(settings) / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    said = config.get("text_config", config).get("max_position_embeddings")
    return said if isinstance(said, int) and said > 0 else None
