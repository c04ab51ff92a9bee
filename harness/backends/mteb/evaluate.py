"""The embedding axis: one cell through mteb, with its per-item results.

mteb keeps its own shared cache, which reuses results across dataset revisions: it is switched off (`cache=None`), and
keys and resume are ours. The score is recomputed from the per-item results and must agree with mteb's own, which rounds
retrieval metrics to five decimals.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.backends.interface import Example, Job, Outcome
from harness.backends.mteb.bits import exact_cosines
from harness.backends.mteb.capture import Capture
from harness.backends.mteb.examples import choose
from harness.backends.mteb.items import SubsetItems
from harness.backends.mteb.labels import read_labels_at_once
from harness.backends.mteb.lexical import LexicalSearch
from harness.backends.mteb.model import MtebModel
from harness.backends.mteb.prepared import names_of, prepared
from harness.backends.mteb.readable import with_texts
from harness.backends.mteb.remarks import OffCount
from harness.backends.mteb.texts import texts_of
from harness.encoders.bm25 import Bm25Encoder
from harness.encoders.checked import CheckedEncoder
from harness.encoders.once import MadeOnce
from harness.plan.cells import PlannedTask
from harness.results.records import Metric
from harness.statistics.conventions import POINTS
from harness.statistics.intervals import interval_of
from harness.statistics.resampling import Interval
from harness.tasks.types import ranks_documents

if TYPE_CHECKING:
    from harness.backends.mteb.search import ExactSearch


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """One mteb task evaluated: the whole cell, or a part of an aggregate."""

    name: str
    result: Any
    """mteb's TaskResult."""
    items: list[SubsetItems]
    kept: dict[str, Any]
    """What a limit left of the data."""
    examples: list[Example]
    """Items to be read."""
    off_count: OffCount
    """In what the data are of another size than MTEB's own."""
    remarks: list[str]
    """What must be known of the data; of own files it was said when they were read."""
    search: dict[str, Any]
    """How documents were ranked; empty where none are."""


def evaluate(job: Job, encoder: CheckedEncoder) -> Outcome:
    """Score one embedding cell.

    Args:
        job: the cell, its data and where mteb's own JSON goes.
        encoder: of the cell's candidate.

    Returns:
        The main metric in points with its bootstrap interval, every metric of mteb, and the per-item results.

    Raises:
        ChangedContentError: the data are not those of the cell's key.
        EncoderOutputError: the encoder returned something that must not be scored.
        NotRecomputedError: the per-item results do not recompute mteb's score.
    """
    task = job.cell.task
    model = MtebModel(job, encoder)
    with _made_once(job, encoder) as once:
        parts = [_evaluate_part(name, job, encoder, model) for name in names_of(job)]
    _write_native(job, parts)
    found = _outcome(task, parts, model)
    return found if job.cell.size is None else replace(found, facts=found.facts | {"size": _said_of_size(job, once)})


@contextmanager
def _made_once(job: Job, encoder: CheckedEncoder) -> Iterator[MadeOnce | None]:
    """Have vectors kept for the other sizes of the model, where it has some and there is a place for them."""
    if job.cell.size is not None and job.files is not None:
        encoder.once = MadeOnce(files=job.files, maker=job.maker, store_dtype=encoder.store_dtype)
    try:
        yield encoder.once
    finally:
        encoder.once = None


def _said_of_size(job: Job, once: MadeOnce | None) -> dict[str, Any]:
    """Return what provenance says of a size: what was cut, from whose vectors, and how many calls made them."""
    size = job.cell.size
    assert size is not None  # noqa: S101 - asked by `evaluate`
    said = {"of": size.of, "dimension": size.dimension, "precision": size.precision}
    return said | ({"calls": once.facts()} if once else {})


def _evaluate_part(name: str, job: Job, encoder: CheckedEncoder, model: MtebModel) -> _Part:
    import mteb

    found = prepared(job, name)
    task = found.task
    encoder.prepare(lambda: texts_of(task))
    read_labels_at_once(task)
    capture = Capture(task, encoder.cut_so_far)
    searching = _searching(job, encoder, model)
    with exact_cosines() if model.is_of_bits else nullcontext():
        result = mteb.evaluate(
            searching or model,
            task,
            cache=None,
            overwrite_strategy="always",
            co2_tracker=False,
            show_progress_bar=False,
            encode_kwargs={"show_progress_bar": False},
            prediction_folder=Path("captured"),  # truthy, so that predictions are handed over; nothing is written
        )[0]
    items = [
        capture.items(split, scores["hf_subset"], scores) for split, rows in result.scores.items() for scores in rows
    ]
    if job.keeps_texts:
        items = [with_texts(task, one, seed=job.seed) for one in items]
    examples = choose(task, items, seed=job.seed, prompts=model.prompts_used)
    task.unload_data()
    return _Part(
        name=name,
        result=result,
        items=items,
        kept=found.kept,
        examples=examples,
        off_count=found.off_count,
        remarks=[*found.remarks, *_language_taken(job, searching)],
        search=searching.facts if searching else {},
    )


def _searching(job: Job, encoder: CheckedEncoder, model: MtebModel) -> ExactSearch | LexicalSearch | None:
    """Return what ranks documents by the vectors of `model`, or by words; None where the task ranks none."""
    if not ranks_documents(job.cell.task.type):
        return None
    if isinstance(encoder.inner, Bm25Encoder):
        return LexicalSearch(model, encoder, encoder.inner)
    from harness.backends.mteb.search import ExactSearch

    about = encoder.describe()
    is_shuffled = about.get("ablation") == "shuffled-rationale"
    device = str(about.get("device", "cpu"))
    cell = job.cell
    return ExactSearch(model, cell.search_precision, device, reads_together=is_shuffled, rescore=cell.rescore)


def _outcome(task: PlannedTask, parts: list[_Part], model: MtebModel) -> Outcome:
    import pyarrow as pa

    subsets = [(part, one) for part in parts for one in part.items]
    score = sum(one.score for _, one in subsets) / len(subsets)
    tables = [one.table(part.name) for part, one in subsets if one.columns]
    missing = sorted({one.missing for _, one in subsets if one.missing})
    return Outcome(
        metric=task.info.main_score,
        score=score * POINTS,
        interval=_interval([one for _, one in subsets]),
        n=sum(one.n for _, one in subsets),
        metrics=tuple(_metrics(parts, is_aggregate=bool(task.info.parts))),
        items=pa.concat_tables(tables, promote_options="permissive") if tables and not missing else None,
        items_missing="; ".join(missing) or None,
        unit=subsets[0][1].unit,
        examples=tuple(example for part in parts for example in part.examples),
        facts={
            "prompts": model.prompts_used,
            "phases": _phases(parts),
            "search": parts[-1].search,
            "limited_to": {part.name: part.kept for part in parts if part.kept},
            "left_out": {
                f"{part.name} {one.split}/{one.subset}": dict(one.left_out) for part, one in subsets if one.left_out
            },
            "off_count": _by_part(parts, lambda part: part.off_count.items),
            "off_documents": _by_part(parts, lambda part: part.off_count.documents),
            "data_remarks": [*task.remarks, *(said for part in parts for said in part.remarks)],
        },
    )


def _language_taken(job: Job, searching: object) -> list[str]:
    """Return that words were taken for English where nobody said what they are."""
    custom = job.cell.task.custom
    if not isinstance(searching, LexicalSearch) or custom is None or custom.language:
        return []
    return ["bm25 took the words for English; `language: deu-Latn`, or another, in the task's entry says what they are"]


def _by_part(parts: list[_Part], counts: Callable[[_Part], dict[str, list[int]]]) -> dict[str, list[int]]:
    """Return counts of all parts, each place with its part's name."""
    return {f"{part.name} {where}": both for part in parts for where, both in counts(part).items()}


def _interval(subsets: list[SubsetItems]) -> Interval | None:
    statistics = [one.statistic for one in subsets if one.statistic is not None]
    if len(statistics) < len(subsets):
        return None
    found = interval_of([(one, 1 / len(statistics)) for one in statistics])
    if found is None:
        return None
    return replace(found, stderr=found.stderr * POINTS, low=found.low * POINTS, high=found.high * POINTS)


def _metrics(parts: list[_Part], *, is_aggregate: bool) -> list[Metric]:
    metrics: list[Metric] = []
    for part in parts:
        for split, rows in part.result.scores.items():
            for scores in rows:
                metrics.extend(
                    Metric(
                        name=name,
                        value=float(value) * POINTS,
                        split=split,
                        subset=scores["hf_subset"],
                        part=part.name if is_aggregate else None,
                    )
                    for name, value in scores.items()
                    if isinstance(value, int | float) and not isinstance(value, bool)
                )
    return metrics


def _phases(parts: list[_Part]) -> dict[str, float]:
    """Return seconds by phase of mteb's own timer; phases may contain one another."""
    seconds: dict[str, float] = {}
    for part in parts:
        for phase in part.result.evaluation_phases or []:
            name = phase["name"]
            if not name.startswith("Running experiment"):
                seconds[name] = seconds.get(name, 0.0) + phase["end"] - phase["start"]
    return {name: round(value, 3) for name, value in seconds.items()}


def _write_native(job: Job, parts: list[_Part]) -> None:
    """Write mteb's own JSON, so that mteb's tools can read a run; limited results go to a folder of their own."""
    limit, precision = job.cell.task.limit, job.cell.search_precision
    kept = f"limit-{limit}" if limit else "full"
    folder = job.native_folder / (kept if precision == "float32" else f"{kept}-{precision}")
    folder = folder if job.cell.rescore is None else folder.with_name(f"{folder.name}-rescored-{job.cell.rescore}")
    folder = folder / _org_and_name(job.cell.model)
    folder = folder / job.fingerprint[:16]
    folder.mkdir(parents=True, exist_ok=True)
    for part in parts:
        part.result.to_disk(folder / f"{part.name}.json")
    if job.cell.task.info.parts:
        import mteb

        whole = mteb.get_task(job.cell.task.name).combine_task_results([part.result for part in parts])
        whole.to_disk(folder / f"{job.cell.task.name}.json")


def _org_and_name(model: str) -> str:
    return f"harness__{model}"
