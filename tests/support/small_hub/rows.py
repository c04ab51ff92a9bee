"""Repositories whose rows are scored as they lie there: pairs, labelled texts, sets of texts, summaries."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from local_hub import TOPICS, text_of

from small_hub.files import Repository

Row = dict[str, Any]
LANGUAGES = ("en", "de", "zh-CN")


def sts(
    seed: str,
    *,
    splits: Sequence[str] = ("test",),
    pairs: int = 30,
    scale: tuple[float, float] = (0.0, 5.0),
    repeated: int = 0,
    about: bool = False,
) -> Repository:
    """Return scored pairs, `<split>.jsonl.gz`.

    Args:
        seed: of the texts.
        splits: files.
        pairs: of each split.
        scale: lowest and highest score; some are whole numbers and written so.
        repeated: pairs that are there twice, once with another score.
        about: whether rows say where a pair is from, as STSBenchmark's do.
    """
    rng = random.Random(seed)
    files = {}
    for split in splits:
        rows = [_pair(rng, scale) for _ in range(pairs)]
        rows += [rows[number] | {"score": scale[1]} for number in range(repeated)]
        if about:
            extra = {"split": split, "genre": "main-news", "dataset": "invented", "year": "2016"}
            rows = [extra | {"sid": f"{number:04}"} | row for number, row in enumerate(rows)]
        files[f"{split}.jsonl.gz"] = rows
    return Repository(files=files)


def sts_by_language(seed: str, languages: Sequence[str], *, words: int = 6, ids: bool = False) -> Repository:
    """Return scored pairs of several languages, a file each, all under one config with a column `lang`.

    Args:
        seed: of the texts.
        languages: pairs of languages; every text is of the same invented words.
        words: of a text, some far longer where these are many.
        ids: whether rows have an `id`, and scores begin at 1, as STS22's do.
    """
    rng = random.Random(seed)
    files = {}
    for language in languages:
        rows = [_pair(rng, (1.0 if ids else 0.0, 4.0 if ids else 5.0), words) for _ in range(24)]
        if words > 100:
            rows[3]["sentence1"] = text_of("sea", rng, 40 * words)
        files[f"test/{language}.jsonl.gz"] = [
            ({"id": f"{number}_{number + 1}"} if ids else {}) | row | {"lang": language}
            for number, row in enumerate(rows)
        ]
    return _by_language(files, ("test",), languages, "jsonl.gz")


def pair_lists(seed: str, *, splits: Sequence[str] = ("test",), repeated: int = 3) -> Repository:
    """Return labelled pairs, a whole split in one row of `<split>.json.gz`."""
    rng = random.Random(seed)
    files = {}
    for split in splits:
        left, right, labels = [], [], []
        for number in range(40):
            topic = list(TOPICS)[number % 5]
            left.append(text_of(topic, rng))
            right.append(text_of(topic if number % 4 == 0 else rng.choice(list(TOPICS)), rng))
            labels.append(int(number % 4 == 0))
        row = {"sent1": left + left[:repeated], "sent2": right + right[:repeated], "labels": labels + labels[:repeated]}
        files[f"{split}.json.gz"] = [row]
    return Repository(files=files)


def labelled(
    seed: str,
    *,
    labels: int = 5,
    each: int = 12,
    splits: Sequence[str] = ("train", "test"),
    test: int = 24,
    ids: bool = False,
    odd: Sequence[str] = (),
    others: Sequence[str] = (),
) -> Repository:
    """Return labelled texts, `<split>.jsonl`.

    Args:
        seed: of the texts.
        labels: how many there are.
        each: training texts of a label.
        splits: files.
        test: texts of the other splits; labels come unevenly.
        ids: whether rows have an `id`.
        odd: further training texts: empty ones, of one character.
        others: names of files beside the data.
    """
    rng = random.Random(seed)
    files = {}
    for split in splits:
        rows = _labels(rng, labels, each, odd) if split == "train" else _uneven(rng, labels, test)
        files[f"{split}.jsonl"] = [({"id": f"{number}"} if ids else {}) | row for number, row in enumerate(rows)]
    return Repository(files=files, others=dict.fromkeys(others, "# how the data were made\n"))


def labelled_by_config(
    seed: str, configs: Sequence[str], *, labels: int = 5, each: int = 12, rare: int = 0, ids: bool = False
) -> Repository:
    """Return labelled texts in parquet, a config a language.

    Args:
        seed: of the texts.
        configs: names; texts of all are of the same invented words.
        labels: how many there are.
        each: training texts of a label.
        rare: labels with a single training text; as many further ones that training lacks and a test text has.
        ids: whether rows have an `id`.
    """
    rng = random.Random(seed)
    files = {}
    for config in configs:
        for split in ("train", "validation", "test"):
            rows = _labels(rng, labels, each, ()) if split == "train" else _uneven(rng, labels, 24)
            for number in range(rare):
                label = labels + number + (rare if split == "test" else 0)
                rows.append({"text": text_of("sky", rng, 3), "label": label, "label_text": f"rare {label}"})
            files[f"{config}/{split}-00000-of-00001.parquet"] = [
                ({"id": f"{number}"} if ids else {}) | row for number, row in enumerate(rows)
            ]
    return Repository(
        files=files,
        configs={
            config: {split: f"{config}/{split}-*" for split in ("train", "validation", "test")} for config in configs
        },
    )


def labelled_by_language(seed: str, *, labels: int, rare: int = 0) -> Repository:
    """Return MASSIVE's form: `<split>/<language>.json.gz`, labels that are words, a column `lang`, one config of all.

    Args:
        seed: of the texts.
        labels: how many there are.
        rare: labels with a single training text; one that training lacks has a test text.
    """
    rng = random.Random(seed)
    files = {}
    for split in ("train", "validation", "test"):
        for language in LANGUAGES:
            rows = _labels(rng, labels, 10, ("go",)) if split == "train" else _uneven(rng, labels, 24)
            for number in range(rare):
                label = labels + number + (1 if split == "test" else 0)
                rows.append({"text": text_of("sky", rng, 3), "label": label, "label_text": ""})
            files[f"{split}/{language}.json.gz"] = [
                {
                    "id": f"{number}",
                    "label": f"intent_{row['label']}",
                    "label_text": f"intent_{row['label']}",
                    "text": row["text"],
                    "lang": language,
                }
                for number, row in enumerate(rows)
            ]
    return _by_language(files, ("train", "validation", "test"), LANGUAGES, "json.gz")


def sets(
    seed: str,
    *,
    splits: Sequence[str] = ("test",),
    names: str = "{}",
    numbers: bool = False,
    single: bool = False,
    short: bool = False,
    words: int = 6,
    sizes: Sequence[int] = (60, 45, 30),
    flat: bool = False,
) -> Repository:
    """Return sets of texts to cluster, `<split>.jsonl.gz`, a set a row.

    Args:
        seed: of the texts.
        splits: files.
        names: of labels, with the topic for `{}`.
        numbers: whether labels are whole numbers.
        single: whether some labels have one text.
        short: whether there are texts of one character, and the same text twice.
        words: of a text.
        sizes: texts of each set.
        flat: whether a row is a text and its label, and there are no sets.
    """
    rng = random.Random(seed)
    files = {}
    for split in splits:
        rows: list[Row] = []
        for size in sizes:
            topics = [list(TOPICS)[number % 5] for number in range(size)]
            sentences = [_mixed(topic, rng, words) for topic in topics]
            labels: list[Any] = [list(TOPICS).index(topic) if numbers else names.format(topic) for topic in topics]
            if single:
                labels[:2] = ["alone", "alone too"]
            if short:
                sentences[2], sentences[4] = "x", sentences[3]
            both = zip(sentences, labels, strict=True)
            rows += [{"sentences": one, "labels": label} for one, label in both] if flat else []
            rows += [] if flat else [{"sentences": sentences, "labels": labels}]
        files[f"{split}.jsonl.gz"] = rows
    return Repository(files=files)


def summaries(seed: str) -> Repository:
    """Return documents with human and machine summaries and four ratings, `test.jsonl.gz`; ratings of one are equal."""
    rng = random.Random(seed)
    rows = []
    for number in range(10):
        topic = list(TOPICS)[number % 5]
        human = [text_of(topic, rng, 8) for _ in range(11)]
        words = human[0].split()
        machine = [" ".join([*words[: kept % 7], *text_of("sky", rng, 8).split()[kept % 7 :]]) for kept in range(16)]
        machine[5] = machine[4]
        ratings = {
            name: [3.0] * 16 if number == 4 else [round(1 + (kept % 7) / 2 + rng.random(), 4) for kept in range(16)]
            for name in ("relevance", "coherence", "fluency", "consistency")
        }
        own = {"machine_summaries": machine, "human_summaries": human}
        rows.append(own | ratings | {"text": " ".join(human), "id": f"dm-test-{number:06x}"})
    return Repository(files={"test.jsonl.gz": rows})


def _by_language(
    files: dict[str, list[Row]], splits: Sequence[str], languages: Sequence[str], suffix: str
) -> Repository:
    configs = {"default": {split: f"{split}/*.{suffix}" for split in splits}}
    for language in languages:
        configs[language] = {split: f"{split}/{language}.{suffix}" for split in splits}
    return Repository(files=files, configs=configs)


def _pair(rng: random.Random, scale: tuple[float, float], words: int = 6) -> Row:
    low, high = scale
    left = text_of(rng.choice(list(TOPICS)), rng, words).split()
    kept = rng.randrange(words + 1)
    right = left[:kept] + text_of(rng.choice(list(TOPICS)), rng, words).split()[kept:]
    score = round(low + (high - low) * (0.8 * kept / words + 0.2 * rng.random()), 3)
    whole = rng.random() < 0.3
    return {"sentence1": " ".join(left), "sentence2": " ".join(right), "score": round(score) if whole else score}


def _labels(rng: random.Random, labels: int, each: int, odd: Sequence[str]) -> list[Row]:
    rows = [_labelled(rng, label) for label in range(labels) for _ in range(each)]
    rows += [_labelled(rng, number % labels) | {"text": text} for number, text in enumerate(odd)]
    rng.shuffle(rows)
    return rows


def _uneven(rng: random.Random, labels: int, count: int) -> list[Row]:
    chosen = rng.choices(range(labels), weights=[1 / (1 + label) for label in range(labels)], k=count)
    return [_labelled(rng, label) for label in chosen]


def _mixed(topic: str, rng: random.Random, words: int) -> str:
    """Return words of which under half are of the topic, so that no encoder tells all texts apart."""
    of = [topic if rng.random() < 0.45 else rng.choice(list(TOPICS)) for _ in range(words)]
    return " ".join(rng.choice(TOPICS[one].split()) for one in of)


def _labelled(rng: random.Random, label: int) -> Row:
    topic = list(TOPICS)[label % 5] if rng.random() < 0.8 else rng.choice(list(TOPICS))
    text = f"{_mixed(topic, rng, 5)} {topic if rng.random() < 0.3 else ''}{label if rng.random() < 0.3 else ''}".strip()
    return {"text": text, "label": label, "label_text": f"{topic} {label}"}
