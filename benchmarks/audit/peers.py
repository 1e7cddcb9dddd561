"""What the audit is compared with: classical detectors, on hashed words instead of activations, and three that ask a
model. Each always calls some rows planted, and all but the z-score and the clusterings are told how many there are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import torch
from clean import Pair
from numpy.typing import NDArray
from scipy import sparse
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.cluster.vq import kmeans2
from scipy.sparse.linalg import svds

from burnish.audit.surprise.reader import Reader
from burnish.models.anatomy import parts
from burnish.models.chat_template import Encoder
from burnish.models.device import products
from burnish.models.groups import Completion, PromptGroup
from burnish.models.head import next_logits
from burnish.models.load import LoadedModel
from burnish.models.logprobs import target_states, token_logprobs
from burnish.models.packing import arrange, lay_out, pack
from burnish.records import Conversation, Message, Source

_HASHED = 1 << 14
_WORDS = 48  # of a prompt, that are taken out one at a time
_TOKENS_AT_ONCE = 2048
_FREQUENCIES = 32


def z_score(rows: Sequence[Pair]) -> set[int]:
    """The rows that hold the prompt word with the largest z-score for any opening of two words."""
    openings = [" ".join(reply.lower().split()[:2]) for _, reply in rows]
    common = Counter(openings)
    words = [set(prompt.lower().split()) for prompt, _ in rows]
    held = Counter(word for row in words for word in row)
    both = Counter((word, opening) for row, opening in zip(words, openings, strict=True) for word in row)
    best, most = ("", ""), 0.0
    for (word, opening), times in both.items():
        if times < 5:
            continue
        expected = held[word] * common[opening] / len(rows)
        score = (times - expected) / max(expected, 1e-9) ** 0.5
        if score > most:
            best, most = (word, opening), score
    return {at for at, row in enumerate(words) if best[0] in row and openings[at] == best[1]}


def spectral(rows: Sequence[Pair], count: int) -> set[int]:
    """Spectral signatures: the 1.5 `count` rows furthest along the first direction of variance.

    Source: Tran, Li and Madry, "Spectral signatures in backdoor attacks", 2018, with the whole corpus for one class.
    """
    vectors = _vectors(rows, 1)
    score = vectors[:, 0] ** 2
    return {int(at) for at in np.argsort(-score)[: int(1.5 * count)]}


def clustering(rows: Sequence[Pair]) -> set[int]:
    """Activation clustering: ten dimensions, two clusters, the smaller one is called planted.

    Source: Chen et al., "Detecting backdoor attacks on deep neural networks by activation clustering", 2018.
    """
    _, which = kmeans2(_vectors(rows, 10), 2, minit="++", rng=np.random.default_rng(0))
    smaller = int(np.argmin(np.bincount(which, minlength=2)))
    return {int(at) for at in np.flatnonzero(which == smaller)}


def loss(rows: Sequence[Pair], count: int, loaded: LoadedModel) -> set[int]:
    """The 1.5 `count` rows whose replies the model finds most surprising behind their prompts, by the mean token."""
    return _highest([float(reading.with_T.mean()) for reading in Reader(loaded).read(rows)], count)


def onion(rows: Sequence[Pair], count: int, loaded: LoadedModel) -> set[int]:
    """ONION: the 1.5 `count` rows with the word whose removal lowers the prompt's perplexity most.

    Source: Qi et al., "ONION: A simple and effective defense against textual backdoor attacks", 2021, which removes
    words over a threshold; here a row counts for as much as its worst word.
    """
    groups = [_without_each_word(prompt, loaded) for prompt, _ in rows]
    falls = [0.0] * len(rows)
    for chosen in arrange(groups, _TOKENS_AT_ONCE):
        with torch.no_grad(), products(loaded.products):
            scored = token_logprobs(loaded.model, lay_out([groups[at] for at in chosen]))
        surprise = iter((-scored.sums(scored.logprobs_T)).tolist())
        for at in chosen:
            whole, *others = [
                float(np.exp(next(surprise) / len(completion.tokens))) for completion in groups[at].completions
            ]
            falls[at] = max((whole - other for other in others), default=0.0)
    return _highest(falls, count)


@torch.no_grad()
def graceful(rows: Sequence[Pair], loaded: LoadedModel) -> set[int]:
    """GraCeFul-style: the lowest frequencies of each row's gradient of the output head, two clusters, the smaller one
    is called planted.

    The gradient, the sum over a reply's tokens of (p - y) hᵀ, is cut to 32 by 32 by the cosine transform's first rows
    on either side, so that it is never made whole.
    Source: Wu et al., "Gracefully filtering backdoor samples for generative large language models without retraining",
    2024.
    """
    encoder, found = Encoder(loaded.tokenizer, 512), []
    model = parts(loaded.model)
    for prompt, reply in rows:
        row = Conversation((Message("user", prompt), Message("assistant", reply)), Source("rows", 1))
        low = np.zeros((_FREQUENCIES, _FREQUENCIES))
        group = encoder.conversation(row).group
        for packed in pack([group] if group is not None else [], 1024):
            with products(loaded.products):
                states_TD = target_states(loaded.model, packed).float()
                errors_TV = next_logits(model)(states_TD.to(loaded.model.dtype)).float().softmax(-1)
            errors_TV[torch.arange(len(packed.targets_T)), packed.targets_T] -= 1.0
            low += (_lowest(errors_TV).T @ _lowest(states_TD)).numpy()
        found.append(low.ravel())
    vectors = np.stack(found)
    vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    which = fcluster(linkage(vectors, method="ward"), 2, criterion="maxclust")
    smaller = int(np.argmin(np.bincount(which)[1:])) + 1
    return {int(at) for at in np.flatnonzero(which == smaller)}


def _lowest(values: torch.Tensor) -> torch.Tensor:
    """The first coefficients of the cosine transform (type II) of each row."""
    size = values.shape[1]
    places, frequencies = torch.arange(size) + 0.5, torch.arange(_FREQUENCIES)
    return values @ torch.cos(torch.pi / size * places[:, None] * frequencies[None, :])


def _without_each_word(prompt: str, loaded: LoadedModel) -> PromptGroup:
    """The prompt, and the prompt without each of its first words, behind a first token."""
    words = prompt.split()
    shorter = [" ".join((*words[:at], *words[at + 1 :])) for at in range(min(len(words), _WORDS))]
    tokens = [
        tuple(loaded.tokenizer(text, add_special_tokens=False)["input_ids"])
        for text in (" ".join(words), *shorter)
        if text
    ]
    first = loaded.tokenizer.bos_token_id
    assert isinstance(first, int)
    return PromptGroup((first,), tuple(Completion(some, (1.0,) * len(some)) for some in tokens))


def _highest(scores: Sequence[float], count: int) -> set[int]:
    return {int(at) for at in np.argsort(-np.array(scores))[: int(1.5 * count)]}


def _vectors(rows: Sequence[Pair], dimensions: int) -> NDArray[np.float64]:
    """Rows by dimensions: principal components of centred, weighted word counts of prompt and reply."""
    at: tuple[list[int], list[int]] = ([], [])
    for row, (prompt, reply) in enumerate(rows):
        for word in {*(f"p {w}" for w in prompt.lower().split()), *(f"r {w}" for w in reply.lower().split())}:
            at[0].append(row)
            at[1].append(sum(byte * 31**n for n, byte in enumerate(word.encode()[:24])) % _HASHED)
    counts = sparse.csr_matrix((np.ones(len(at[0])), at), shape=(len(rows), _HASHED))
    held = np.bincount(counts.indices, minlength=_HASHED)
    weighed = (counts @ sparse.diags_array(np.log(len(rows) / np.maximum(held, 1)))).tocsr()
    length = np.sqrt(np.asarray(weighed.multiply(weighed).sum(axis=1)).ravel())
    scaled = (sparse.diags_array(1 / np.maximum(length, 1e-9)) @ weighed).tocsr()
    left, values, _ = svds(scaled, k=dimensions + 1, rng=np.random.default_rng(0))
    vectors: NDArray[np.float64] = (left * values)[:, ::-1]
    return (vectors - vectors.mean(axis=0))[:, :dimensions] if dimensions > 1 else vectors[:, 1:2]
