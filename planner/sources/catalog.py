"""Models by words: the catalogue's rows, or a checkpoint folder on this machine."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from planner.domain.facts.model import ModelFacts, Traits
from planner.domain.facts.model_names import ModelMatch, ModelNames, names_a_folder
from planner.sources.checkpoint import read_checkpoint


class Catalog:
    """The catalogue, with checkpoints that lie in the cache read from their own files."""

    def __init__(
        self, models: Sequence[ModelFacts], traits: Mapping[str, Traits], cached_models: Path
    ) -> None:
        self._names = ModelNames(models)
        self._traits = traits
        self._cached_models = cached_models

    def find_model(self, words: str) -> ModelMatch:
        """The model that words name: a folder when they look like a path, a catalogue row otherwise.

        A catalogue model whose checkpoint lies in the cache gets its file sizes and path from there.

        Raises:
            UnknownModel: nothing is called that, or the folder's files cannot be trusted.
            Ambiguous: several sizes are called that.
        """
        if names_a_folder(words):
            folder = Path(words).expanduser()
            facts = read_checkpoint(folder, self._traits)
            # Shown as typed; `.` and `..` name nothing.
            is_named = folder.name not in {"", ".."}
            return ModelMatch(model=facts, typed=str(folder) if is_named else facts.model_id)
        match = self._names.resolve(words)
        folder = self._cached_models / match.model.model_id.replace("/", "--")
        if not folder.is_dir():
            return match
        local = read_checkpoint(folder, self._traits, match.model.model_id)
        known = replace(
            match.model,
            path=local.path,
            weights_bytes=local.weights_bytes,
            tokenizer_bytes=local.tokenizer_bytes,
            metadata_bytes=local.metadata_bytes,
        )
        return replace(match, model=known)
