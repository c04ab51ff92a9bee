"""Every task of MTEB(eng, v1): its repository, the form that it has at the pinned revision, and what is odd in it.

Which forms are known, and how:
- Seen on the hub: the lists of files of Banking77, Emotion, ArxivClusteringP2P, BiorxivClustering, MedrxivClustering,
  TwitterSemEval2015, TwitterURLCorpus, BIOSSES, SCIDOCS, SciDocsRR, MTOPDomain and MTOPIntent, and the rows of SciFact.
- Of the same make, by the same hands in the same weeks: the other repositories of a group below.
- Inferred from mteb's loader, which takes no other: MASSIVE, STS17 and STS22 (all languages under one config, a column
  `lang`); CQADupstack's parts; AskUbuntu, StackOverflow and MindSmall (a config a kind of row; the folders' names are
  SciDocsRR's); AmazonCounterfactual and AmazonReviews (a config a language; parquet as MTOP's).
What rows are odd in is from mteb's descriptive statistics of the real data (lengths, counts, repeats, rare labels).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from small_hub import by_domain, ranking, rows
from small_hub.files import Repository, write
from small_hub.ranking import Ranked


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One repository and how its small copy is made."""

    repository: str
    make: Callable[[str], Repository]
    """Seed -> what lies in it."""


def _beir(repository: str, **of: object) -> Task:
    return Task(repository=repository, make=partial(ranking.retrieval, of=Ranked(**of)))  # type: ignore[arg-type]


def _task(repository: str, make: Callable[..., Repository], **options: object) -> Task:
    return Task(repository=repository, make=partial(make, **options))


ANDROID = "CQADupstackAndroidRetrieval"
CQADUPSTACK = (
    *("English", "Gaming", "Gis", "Mathematica", "Physics", "Programmers", "Stats", "Tex", "Unix"),
    *("Webmasters", "Wordpress"),
)
ALL_SPLITS = ("train", "dev", "test")
RETRIEVAL = {
    "ArguAna": _beir("mteb/arguana", ids="arguments", missing=3, short=1, repeated=3),
    "ClimateFEVER": _beir("mteb/climate-fever", grades=(1, 1, 1, 1, 1), short=2, title_alone=1),
    "DBPedia": _beir("mteb/dbpedia", splits=("dev", "test"), grades=(2, 1, 0, 1, 0), title_alone=2),
    "FEVER": _beir("mteb/fever", splits=ALL_SPLITS, grades=(1, 1), short=2, title_alone=1),
    "FiQA2018": _beir("mteb/fiqa", splits=ALL_SPLITS, ids="numbers", grades=(1, 1, 1), titles="none", empty=2),
    "HotpotQA": _beir("mteb/hotpotqa", splits=ALL_SPLITS, ids="numbers", grades=(1, 1), title_alone=1),
    "MSMARCO": _beir("mteb/msmarco", splits=ALL_SPLITS, ids="numbers", titles="none", repeated=2),
    "NFCorpus": _beir("mteb/nfcorpus", splits=ALL_SPLITS, grades=(2, 1, 1, 1, 1, 1), repeated=2, short_queries=2),
    "NQ": _beir("mteb/nq", grades=(1, 1), titles="some", repeated=3),
    "QuoraRetrieval": _beir(
        "mteb/quora",
        documents=1100,
        splits=("dev", "test"),
        ids="numbers",
        titles="none",
        grades=(1, 1, 1),
        short=3,
        short_queries=1,
        repeated=9,
    ),
    "SCIDOCS": _beir("mteb/scidocs", grades=(1, 1, 0, 0, 0), repeated=1),
    "SciFact": _beir("mteb/scifact", splits=("train", "test"), ids="numbers", grades=(1, 1)),
    "TRECCOVID": _beir("mteb/trec-covid", grades=(2, 1, 0, -1, 2, 1), titles="some", empty=3, title_alone=3, long=3000),
    "Touche2020": _beir("mteb/touche2020", grades=(2, 1, 0, 2), titles="some", short=1, repeated=3, long=3000),
}
PARTS = {
    ANDROID: _task(f"mteb/{ANDROID}", ranking.retrieval_as_parquet, of=Ranked(documents=25, grades=(1, 1), repeated=2)),
    **{
        f"CQADupstack{name}Retrieval": _beir(
            f"mteb/cqadupstack-{name.lower()}", documents=20 + place, queries=6, ids="numbers", grades=(1, 1, 1)
        )
        for place, name in enumerate(CQADUPSTACK)
    },
}
"""Of CQADupstackRetrieval, the mean over them."""
RERANKING = {
    "AskUbuntuDupQuestions": _task("mteb/AskUbuntuDupQuestions", ranking.reranking, candidates=(20, 20)),
    "MindSmallReranking": _task("mteb/MindSmallReranking", ranking.impressions),
    "SciDocsRR": _task("mteb/SciDocsRR", ranking.reranking, candidates=(26, 40), splits=("validation", "test")),
    "StackOverflowDupQuestions": _task("mteb/StackOverflowDupQuestions", ranking.reranking, candidates=(20, 30)),
}
SITES = "{}.stackexchange.com.txt"
CLUSTERING = {
    "ArxivClusteringP2P": _task("mteb/arxiv-clustering-p2p", rows.sets, single=True, words=20),
    "ArxivClusteringS2S": _task("mteb/arxiv-clustering-s2s", rows.sets, single=True, short=True),
    "BiorxivClusteringP2P": _task("mteb/biorxiv-clustering-p2p", rows.sets, single=True, words=20),
    "BiorxivClusteringS2S": _task("mteb/biorxiv-clustering-s2s", rows.sets, single=True),
    "MedrxivClusteringP2P": _task("mteb/medrxiv-clustering-p2p", rows.sets, words=25),
    "MedrxivClusteringS2S": _task("mteb/medrxiv-clustering-s2s", rows.sets),
    "RedditClustering": _task("mteb/reddit-clustering", rows.sets, names="{}.txt"),
    "RedditClusteringP2P": _task("mteb/reddit-clustering-p2p", rows.sets, single=True, words=20),
    "StackExchangeClustering": _task(
        "mteb/stackexchange-clustering", rows.sets, names=SITES, splits=("validation", "test")
    ),
    "StackExchangeClusteringP2P": _task("mteb/stackexchange-clustering-p2p", rows.sets, single=True, words=20),
    "TwentyNewsgroupsClustering": _task("mteb/twentynewsgroups-clustering", rows.sets, numbers=True, words=4),
}
PAIRS = {
    "SprintDuplicateQuestions": _task(
        "mteb/sprintduplicatequestions-pairclassification", rows.pair_lists, splits=("validation", "test"), repeated=0
    ),
    "TwitterSemEval2015": _task("mteb/twittersemeval2015-pairclassification", rows.pair_lists),
    "TwitterURLCorpus": _task("mteb/twitterurlcorpus-pairclassification", rows.pair_lists, repeated=9),
}
WITH_VALIDATION = ("train", "validation", "test")
CLASSIFICATION = {
    "AmazonCounterfactualClassification": _task(
        "mteb/amazon_counterfactual", rows.labelled_by_config, configs=("en", "en-ext", "de", "ja"), labels=2, each=40
    ),
    "AmazonPolarityClassification": _task("mteb/amazon_polarity", rows.labelled, labels=2),
    "AmazonReviewsClassification": _task(
        "mteb/AmazonReviewsClassification", rows.labelled_by_config, configs=("de", "en", "fr"), ids=True
    ),
    "Banking77Classification": _task("mteb/banking77", rows.labelled, labels=12, test=60, others=("prepare_data.py",)),
    "EmotionClassification": _task(
        "mteb/emotion", rows.labelled, labels=6, each=20, splits=WITH_VALIDATION, others=("create_dataset.py",)
    ),
    "ImdbClassification": _task("mteb/imdb", rows.labelled, labels=2),
    "MTOPDomainClassification": _task(
        "mteb/MTOPDomainClassification", rows.labelled_by_config, configs=("en", "de", "fr"), labels=8
    ),
    "MTOPIntentClassification": _task(
        "mteb/MTOPIntentClassification", rows.labelled_by_config, configs=("en", "de", "fr"), labels=8, rare=2
    ),
    "MassiveIntentClassification": _task("mteb/amazon_massive_intent", rows.labelled_by_language, labels=9, rare=1),
    "MassiveScenarioClassification": _task("mteb/amazon_massive_scenario", rows.labelled_by_language, labels=6),
    "ToxicConversationsClassification": _task(
        "mteb/toxic_conversations_50k", rows.labelled, labels=2, each=30, test=2100, odd=("x", "?")
    ),
    "TweetSentimentExtractionClassification": _task(
        "mteb/tweet_sentiment_extraction", rows.labelled, labels=3, each=40, ids=True, odd=("", "ok")
    ),
}
STS = {
    "BIOSSES": _task("mteb/biosses-sts", rows.sts, scale=(0.0, 4.0)),
    "SICK-R": _task("mteb/sickr-sts", rows.sts, scale=(1.0, 5.0), repeated=4),
    "STS12": _task("mteb/sts12-sts", rows.sts, splits=("train", "test"), repeated=5),
    "STS13": _task("mteb/sts13-sts", rows.sts),
    "STS14": _task("mteb/sts14-sts", rows.sts, repeated=3),
    "STS15": _task("mteb/sts15-sts", rows.sts),
    "STS16": _task("mteb/sts16-sts", rows.sts),
    "STS17": _task("mteb/sts17-crosslingual-sts", rows.sts_by_language, languages=("en-en", "es-es", "es-en", "ko-ko")),
    "STS22": _task(
        "mteb/sts22-crosslingual-sts", rows.sts_by_language, languages=("en", "de", "de-en", "zh"), words=120, ids=True
    ),
    "STSBenchmark": _task("mteb/stsbenchmark-sts", rows.sts, splits=WITH_VALIDATION, about=True, repeated=1),
}
SUMMARIES = {"SummEval": _task("mteb/summeval", rows.summaries)}
ALL = {**RETRIEVAL, **PARTS, **RERANKING, **CLUSTERING, **PAIRS, **CLASSIFICATION, **STS, **SUMMARIES}
"""Task, or part of CQADupstackRetrieval -> its repository."""
HARD = Ranked(documents=60, ids="numbers", grades=(1, 1))
NEWER = {
    "ArXivHierarchicalClusteringP2P": _task(
        "mteb/arxiv-clustering-p2p", rows.sets, names="physics.{}", single=True, words=12, sizes=(1100, 1000)
    ),
    "ArXivHierarchicalClusteringS2S": _task(
        "mteb/arxiv-clustering-s2s", rows.sets, names="physics.{}", short=True, sizes=(1100, 1000)
    ),
    "BiorxivClusteringP2P.v2": _task("mteb/biorxiv-clustering-p2p", rows.sets, flat=True, words=12, sizes=(700,)),
    "CQADupstackGamingRetrieval": PARTS["CQADupstackGamingRetrieval"],
    "CQADupstackUnixRetrieval": PARTS["CQADupstackUnixRetrieval"],
    "ClimateFEVERHardNegatives": _task(
        "mteb/ClimateFEVER_test_top_250_only_w_correct-v2", ranking.retrieval_as_parquet, of=HARD
    ),
    "FEVERHardNegatives": _task("mteb/FEVER_test_top_250_only_w_correct-v2", ranking.retrieval_as_parquet, of=HARD),
    "HotpotQAHardNegatives": _task(
        "mteb/HotpotQA_test_top_250_only_w_correct-v2", ranking.retrieval_as_parquet, of=HARD
    ),
    "MedrxivClusteringP2P.v2": _task("mteb/medrxiv-clustering-p2p", rows.sets, words=12, sizes=(400, 300)),
    "MedrxivClusteringS2S.v2": _task("mteb/medrxiv-clustering-s2s", rows.sets, sizes=(400, 300)),
    "STS22.v2": _task(
        "mteb/sts22-crosslingual-sts", rows.sts_by_language, languages=("en", "de", "de-en", "zh"), words=120, ids=True
    ),
    "StackExchangeClustering.v2": _task(
        "mteb/stackexchange-clustering", rows.sets, names=SITES, splits=("validation", "test"), sizes=(1200, 1000)
    ),
    "StackExchangeClusteringP2P.v2": _task(
        "mteb/stackexchange-clustering-p2p", rows.sets, single=True, words=12, sizes=(400, 300)
    ),
    "SummEvalSummarization.v2": SUMMARIES["SummEval"],
    "Touche2020Retrieval.v3": _beir("mteb/webis-touche2020-v3", grades=(2, 1, 0), titles="some", repeated=2),
    "TwentyNewsgroupsClustering.v2": _task(
        "mteb/twentynewsgroups-clustering", rows.sets, numbers=True, words=4, sizes=(400, 300)
    ),
}
"""What MTEB(eng, v2) has beside tasks of version 1. Its pools of texts are larger, since a few are drawn of them;
BiorxivClusteringP2P.v2 reads a later commit, a text a row, as its loader takes it. The others' forms are inferred."""

SHARED = {
    "BRIGHT": _task("mteb/BRIGHT", by_domain.bright),
    "LongEmbed": _task("dwzhu/LongEmbed", by_domain.long_embed),
    "LEMBPasskeyRetrieval": _task("mteb/LEMBPasskeyRetrieval", by_domain.passkeys),
}
"""The repositories of BRIGHT(v1.1) and LongEmbed; of each the form is inferred from mteb's loader."""


def write_hub(hub: Path, table: Mapping[str, Task] = ALL) -> Path:
    """Write the repositories of a table's tasks below `hub` and return it."""
    for name, task in table.items():
        write(hub / "datasets" / task.repository, task.make(name))
    return hub
