"""Retrieval and reranking through mteb's own search protocol, with the exact search of `harness.search`.

What it changes against `mteb/models/search_wrappers.py` (2.26.24, SearchEncoderWrapper), and what it must not change,
the scores:
1. Documents are read from the dataset's memory-mapped files and encoded block by block; mteb maps each chunk of 50,000
   to a new dataset first.
2. No matrix of all queries by a chunk, and no heap in Python: `harness.search.exact`.
3. Of equal scores the documents with the greater id are kept, as pytrec_eval ranks them; mteb keeps any.
4. Of a reranking task the candidates are encoded, not the documents beside them that nobody ranks.
5. Of a retrieval task that excludes some documents for a query (BRIGHT) all are searched and those are dropped.
6. Vectors may be compared as int8 or by their signs (`search_precision`).
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from mteb._create_dataloaders import create_dataloader  # noqa: TID253 - a class of mteb's own make
from mteb.models.search_wrappers import SearchEncoderWrapper  # noqa: TID253
from mteb.timing import TimingStack  # noqa: TID253
from mteb.types import PromptType  # noqa: TID253

from harness.backends.mteb.documents import Documents, Spooled, ids_of
from harness.backends.mteb.model import MtebModel
from harness.encoders.base import Vectors
from harness.errors import HarnessError
from harness.search.best import ScoreNotFiniteError
from harness.search.comparison import Comparison
from harness.search.exact import Blocks, Found, Pairs, rerank, search
from harness.search.exclude import excluded_of, without
from harness.search.ranks import ranks_of
from harness.suite.fields import SearchPrecision
from harness.tasks.types import EMBEDDING_TYPES

MTEB_CHUNK = 50_000
"""Documents that mteb has encoded together (`SearchEncoderWrapper.corpus_chunk_size`); of reranking all."""
TIES = "by falling document id, as trec_eval ranks them"
Results = dict[str, dict[str, float]]


class ExactSearch(SearchEncoderWrapper):  # type: ignore[misc]
    """What mteb is given for tasks that rank documents; mteb times the steps of this class of its own."""

    def __init__(
        self,
        model: MtebModel,
        precision: SearchPrecision,
        device: str,
        *,
        reads_together: bool = False,
        rescore: int | None = None,
    ) -> None:
        """Search with the vectors of `model`.

        Args:
            model: the encoder.
            precision: as what its vectors are compared.
            device: of the encoder; the search runs on it where it is CUDA, else on the processor.
            reads_together: whether a vector hangs on the texts that it is made with (shuffled rationales): documents
                are then encoded together as mteb does it.
            rescore: of the documents that bits find, so many a query are ranked again; None: they are as found.
        """
        super().__init__(model)
        self.task_corpus: Any = None
        """mteb's corpus, between `index` and `search`; `index` is mteb's own."""
        self._precision = precision
        self._reads_together = reads_together
        self._rescore = rescore
        self._device = device if device.startswith("cuda") else "cpu"
        self.facts: dict[str, Any] = {}
        """How was searched, for provenance; empty before the first search."""

    def search(
        self,
        queries: Any,
        *,
        task_metadata: Any,
        hf_split: str,
        hf_subset: str,
        top_k: int,
        encode_kwargs: Any,
        top_ranked: Mapping[str, Sequence[str]] | None = None,
        num_proc: int | None = None,
        timer: TimingStack | None = None,
        **_: Any,
    ) -> Results:
        """Return query -> document -> score, the best `top_k` of each.

        Args:
            queries: mteb's, a Dataset.
            task_metadata: of mteb's task.
            hf_split, hf_subset: where the data are from.
            top_k: documents wanted for each query.
            encode_kwargs, num_proc: mteb's, for the loader of queries.
            top_ranked: query -> the documents it ranks; None: it ranks all.
            timer: gets the seconds of each step.

        Raises:
            HarnessError: a document has no text, a candidate is not in the corpus, or a score is no finite number.
        """
        corpus, self.task_corpus = self.task_corpus, None
        where = f"{task_metadata.name} {hf_split}/{hf_subset}"
        names = list(queries["id"])
        if not names:
            return {}
        timer = timer or TimingStack()
        loader = create_dataloader(
            queries, task_metadata=task_metadata, prompt_type=PromptType.query, num_proc=num_proc, **encode_kwargs
        )
        with timer("Encoding queries", split=hf_split, subset=hf_subset):
            vectors = self.model.vectors(list(loader.dataset["text"]), task_metadata.name, "query")
        began = time.monotonic()
        pairs = excluded = None
        if top_ranked is not None and EMBEDDING_TYPES[task_metadata.type].ranks == "corpus":
            excluded = excluded_of(ids_of(corpus), names, top_ranked)
        if top_ranked is not None and excluded is None:
            corpus, pairs = _candidates(corpus, names, top_ranked, where, alone=not self._reads_together)
        block = None
        if self._reads_together:
            block = MTEB_CHUNK if pairs is None else max(1, len(corpus))
        encode = partial(self.model.vectors, task_name=task_metadata.name, role="document")
        documents = Documents(corpus, encode, vectors.shape[1], block)
        try:
            results = self._results(names, vectors, documents, ids_of(corpus), k=top_k, pairs=pairs, excluded=excluded)
        except ScoreNotFiniteError as error:
            raise HarnessError(f"{where}: {error}: the vectors of this model cannot be compared") from error
        encoded = began + documents.seconds
        timer.add_phase("Encoding corpus", start=began, end=encoded, split=hf_split, subset=hf_subset)
        timer.add_phase("Searching corpus", start=encoded, end=time.monotonic(), split=hf_split, subset=hf_subset)
        return results

    def _results(
        self,
        names: list[str],
        vectors: Vectors,
        documents: Documents,
        ids: Any,
        *,
        k: int,
        pairs: Pairs | None,
        excluded: Sequence[Any] | None,
    ) -> Results:
        self.facts = {"ties": TIES, "precision": self._precision, "k": k, "block": documents.block}
        blocks: Blocks = documents
        ranges = None
        if (self._precision == "int8" or self._rescore) and len(documents):  # which are gone through twice
            blocks = spooled = Spooled(documents, vectors.shape[1])
            ranges = spooled.ranges if self._precision == "int8" else None
        similarity = self.model.similarity_name
        comparison = Comparison(similarity=similarity, precision=self._precision, ranges=ranges)
        ranks = ranks_of(ids)
        if pairs is None:
            most = min(k, self._rescore) if self._rescore else k
            more = max(map(len, excluded)) if excluded is not None else 0
            found = search(vectors, blocks, ranks, most + more, comparison=comparison, device=self._device)
            found = found if excluded is None else without(found, excluded, most)
            if self._rescore:
                self.facts["rescored"] = self._rescore
                again = Pairs(queries=np.repeat(np.arange(len(vectors)), _counts(found)), documents=found.documents)
                floats = replace(comparison, queries_as_floats=True)
                found = rerank(vectors, blocks, ranks, k, pairs=again, comparison=floats, device=self._device)
        else:
            found = rerank(vectors, blocks, ranks, k, pairs=pairs, comparison=comparison, device=self._device)
        return _named(found, names, ids)


def _counts(found: Found) -> Any:
    """Return (queries,) how many documents each has."""
    return np.diff(found.ends, prepend=0)


def _candidates(
    corpus: Any, names: list[str], top_ranked: Mapping[str, Sequence[str]], where: str, *, alone: bool
) -> tuple[Any, Pairs]:
    """Return the documents that some query ranks, in the corpus' order, and which query ranks which of them.

    Args:
        corpus: mteb's.
        names: of the queries.
        top_ranked: query -> the documents it ranks.
        where: of the data, for the message.
        alone: False: all documents, in their order.

    Raises:
        HarnessError: a candidate is not in the corpus.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    own = [list(dict.fromkeys(top_ranked.get(name, ()))) for name in names]
    flat = pa.array([document for ranked in own for document in ranked], pa.large_string())
    rows = np.repeat(np.arange(len(own)), [len(ranked) for ranked in own])
    places = pc.index_in(flat, value_set=ids_of(corpus))
    if places.null_count:
        first = pc.index(places.is_null(), True).as_py()
        raise HarnessError(
            f"{where}: {places.null_count} candidates are not in the corpus, the first {flat[first].as_py()!r} of "
            f"query {names[rows[first]]!r}: fetch the data again"
        )
    if not alone:
        return corpus, Pairs(queries=rows, documents=places.to_numpy(zero_copy_only=False).astype(np.int64))
    wanted, positions = np.unique(places.to_numpy(zero_copy_only=False).astype(np.int64), return_inverse=True)
    return corpus.select(wanted), Pairs(queries=rows, documents=positions)


def _named(found: Found, names: list[str], ids: Any) -> Results:
    """Return the hits by the names of queries and documents, the best first; each name is one string in memory."""
    distinct, places = np.unique(found.documents, return_inverse=True)
    documents = np.array(ids.take(distinct).to_pylist(), dtype=object)
    results: Results = {}
    start = 0
    for name, end in zip(names, found.ends.tolist(), strict=True):
        hits = documents[places[start:end]].tolist()
        scores = found.scores[start:end].tolist()
        results[name] = dict(zip(hits, scores, strict=True))
        if len(results[name]) < len(hits):  # an id that the corpus has twice: the better of its two documents
            results[name] = dict(zip(reversed(hits), reversed(scores), strict=True))
        start = end
    return results
