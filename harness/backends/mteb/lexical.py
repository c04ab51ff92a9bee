"""Retrieval and reranking by BM25, as mteb's own baseline does it (`mteb/baseline-bm25s`).

Words are taken by mteb's tokenizer, which chooses stop words and stemmer by the language of the task, and scores are
bm25s'. What differs from `mteb/models/model_implementations/bm25.py` (2.26.24, BM25Search):
1. Candidates of a query are all scored; mteb looks for them among the best of the whole corpus and drops the others.
2. Of equal scores the documents with the greater id are kept, as pytrec_eval ranks them; mteb keeps any.
3. A document without a title may say so by null.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.backends.mteb.documents import ids_of
from harness.backends.mteb.model import MtebModel
from harness.encoders.bm25 import METHOD, Bm25Encoder
from harness.encoders.checked import CheckedEncoder
from harness.errors import HarnessError
from harness.search.ranks import Ranks, ranks_of

TIES = "by falling document id, as trec_eval ranks them"
ENGLISH = "eng"
"""Of tasks in no one language, as mteb's baseline takes them."""
Results = dict[str, dict[str, float]]
Scores = NDArray[np.float32]


class LexicalSearch:
    """What mteb is given for tasks that rank documents (`mteb/models/models_protocols.py`, SearchProtocol)."""

    def __init__(self, model: MtebModel, encoder: CheckedEncoder, inner: Bm25Encoder) -> None:
        """Search with the settings of `inner`, which `encoder` wraps; `model` says what it is called."""
        self.mteb_model_meta = model.mteb_model_meta
        self.facts: dict[str, Any] = {}
        """How was searched, for provenance; empty before the first search."""
        self._encoder, self._spec, self._counters = encoder, inner.spec, inner.counters
        self._ids: Any = None
        self._tokenizer: Any = None
        self._index: Any = None

    def index(self, corpus: Any, *, task_metadata: Any, hf_split: str, hf_subset: str, **_: Any) -> None:
        """Count the words of `corpus`, a Dataset.

        Args:
            corpus: mteb's.
            task_metadata: of mteb's task; its languages choose stop words and stemmer.
            hf_split, hf_subset: where the data are from.

        Raises:
            HarnessError: a document has no text.
        """
        import bm25s
        from mteb.models.model_implementations.bm25 import BM25Tokenizer, _get_language

        began = time.perf_counter()
        where = f"{task_metadata.name} {hf_split}/{hf_subset}"
        self._ids = ids_of(corpus)
        self._tokenizer = BM25Tokenizer(language=_get_language(task_metadata, hf_subset) or ENGLISH)
        texts = _texts(corpus, where)
        counted = self._tokenizer.fit_transform(texts)
        self._index = None
        if counted.vocab:  # bm25s cannot index a corpus without a word
            self._index = bm25s.BM25(k1=self._spec.k1, b=self._spec.b, method=METHOD)
            self._index.index(counted, show_progress=False)
        self._count(texts, began)

    def search(
        self,
        queries: Any,
        *,
        task_metadata: Any,
        hf_split: str,
        hf_subset: str,
        top_k: int,
        top_ranked: Mapping[str, Sequence[str]] | None = None,
        **_: Any,
    ) -> Results:
        """Return query -> document -> score, the best `top_k` of each.

        Args:
            queries: mteb's, a Dataset.
            task_metadata: of mteb's task.
            hf_split, hf_subset: where the data are from.
            top_k: documents wanted for each query.
            top_ranked: query -> the documents it ranks; None: it ranks all.

        Raises:
            HarnessError: a candidate is not in the corpus.
        """
        from mteb._create_dataloaders import _combine_queries_with_instruction_text

        began = time.perf_counter()
        names = list(queries["id"])
        if not names:
            return {}
        where = f"{task_metadata.name} {hf_split}/{hf_subset}"
        texts = list(_combine_queries_with_instruction_text(queries)["text"])
        self.facts = {"ties": TIES, "precision": "float32", "k": top_k, "lexical": self._said()}
        ids = self._ids.to_pylist()
        places = {document: place for place, document in enumerate(ids)}
        ranks = ranks_of(self._ids)
        results: Results = {}
        for name, scores in zip(names, self._scores(texts), strict=True):
            own = None if top_ranked is None else _places(top_ranked.get(name, ()), places, f"{where}: query {name!r}")
            best = best_of(scores, ranks, top_k, own)
            results[name] = {ids[place]: float(scores[place]) for place in best.tolist()}
        self._count(texts, began)
        return results

    def _scores(self, texts: list[str]) -> Iterator[Scores]:
        """Yield the (n,) scores of all documents for each query."""
        from bm25s.tokenization import convert_tokenized_to_string_list

        for words in convert_tokenized_to_string_list(self._tokenizer.transform(texts)):
            if words and self._index is not None:
                yield self._index.get_scores(words)
            else:
                yield np.zeros(len(self._ids), dtype=np.float32)

    def _said(self) -> str:
        """Return what counts as a word, and how words are weighed."""
        taken = self._tokenizer
        stops = f"stop words {taken.stopwords_key}" if taken.stopwords_key else "stop words by frequency"
        stemmer = "stemmed (Snowball)" if taken.stemmer else "not stemmed"
        return f"BM25 ({METHOD}, k1 {self._spec.k1:g}, b {self._spec.b:g}; {stops}, {stemmer}; no prompt, no window)"

    def _count(self, texts: Sequence[str], began: float) -> None:
        self._counters.texts += len(texts)
        self._counters.unique_texts += len(set(texts))
        self._counters.encode_seconds += time.perf_counter() - began
        self._encoder.progress(len(texts))


def best_of(scores: Scores, ranks: Ranks, k: int, own: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
    """Return the positions of the `k` best documents, the best first; of equal ones that with the greater id.

    Args:
        scores: (n,) of all documents.
        ranks: the order of their ids.
        k: documents wanted.
        own: positions of those that are ranked; None: all.
    """
    among = np.arange(len(scores)) if own is None else own
    values = scores[among]
    if 0 < k < len(among):
        near = values >= np.partition(values, -k)[-k]
        among, values = among[near], values[near]
    order = np.lexsort((ranks.of[among], values))[::-1][:k]
    return among[order]


def _texts(corpus: Any, where: str) -> list[str]:
    """Return title and text of each document, as mteb's baseline joins them."""
    texts = corpus["text"]
    titles = corpus["title"] if "title" in corpus.column_names else [""] * len(corpus)
    found = []
    for place, (title, text) in enumerate(zip(titles, texts, strict=True)):
        if text is None:
            raise HarnessError(f"{where}: document {corpus['id'][place]!r} has no text (null): fetch the data again")
        found.append(f"{title or ''}\n{text}")
    return found


def _places(ranked: Sequence[str], places: Mapping[str, int], where: str) -> NDArray[np.int64]:
    own = dict.fromkeys(ranked)
    if missing := [document for document in own if document not in places]:
        raise HarnessError(
            f"{where}: {len(missing)} candidates are not in the corpus, the first {missing[0]!r}: fetch the data again"
        )
    return np.array([places[document] for document in own], dtype=np.int64)
