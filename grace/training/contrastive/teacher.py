"""The vectors that a student is to learn: made once of each text, by a candidate or by the base with its rationales.

They stand in the run's directory (grace/run/parts.py); the teacher is loaded where something has to be made, and gone
before the first step.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from grace.config.schema import TrainConfig
from grace.run.directory import TEACHER
from grace.run.parts import Cost, Work, fill
from grace.run.session import Session
from grace.run.trainable import Trainable
from grace.training.contrastive.batch import TextBatch, visited_texts
from grace.training.contrastive.plain import PlainInputs
from grace.training.contrastive.writing import Prepared
from harness.candidates.candidate import Candidate, MissingCandidate
from harness.candidates.candidate_file import OF_WEIGHTS
from harness.candidates.identify import identify
from harness.candidates.named import named_candidate
from harness.encoders.base import FittedEncoder
from harness.encoders.checked import CheckedEncoder
from harness.encoders.loading import load
from harness.environment import versions
from harness.errors import EnvironmentGapError, InputError
from harness.sources.places import Sources
from harness.suite.load import model_of
from harness.suite.model_entries import Ablation
from harness.wording import listing

if TYPE_CHECKING:
    import torch

MADE_WITH = ("torch", "transformers", "tokenizers", "peft")
"""Packages whose version can change a vector."""
SHUFFLED: Ablation = "shuffled-rationale"
SIZED, PROMPTED = ("dimensions", "precision"), ("prompts", "prompt_variants", "instruction")
"""Of an entry: what is cut from vectors where they are scored, and what stands before the texts of tasks."""
OTHERS = f"name a candidate directory, or an entry of {', '.join(OF_WEIGHTS[:-1])} or {OF_WEIGHTS[-1]}"


def teacher_of(config: TrainConfig, sources: Sources) -> Candidate:
    """Return the candidate that teaches.

    Raises:
        InputError: there is none, or it cannot teach as its entry says; all problems at once.
        EnvironmentGapError: its weights are not here.
    """
    if config.distil.teacher is not None:
        named = named_candidate(config.distil.teacher, sources, [f"device={config.device}"])
        if problems := [f"distil.teacher: {one}" for one in _why_not(named)]:
            raise InputError(problems)
        return named
    entry: dict[str, Any] = {
        "name": "base",
        "encoder": "rationale",
        "model": config.model,
        "revision": config.revision,
        "sha256": config.sha256,
        "dtype": config.dtype,
        "attn_implementation": config.attn_implementation,
        "trust_remote_code": config.trust_remote_code,
        "device": config.device,
        "max_text_tokens": config.max_text_tokens,
        "generation": {"max_new_tokens": config.distil.max_new_tokens, "temperature": config.distil.temperature},
    }
    found = identify(model_of({key: one for key, one in entry.items() if one is not None}), sources)
    if isinstance(found, MissingCandidate):
        raise EnvironmentGapError([str(gap) for gap in found.gaps])
    return found


def _why_not(candidate: Candidate) -> Iterator[str]:
    """Yield why a candidate cannot teach as its entry says: each text is embedded once, by itself and whole."""
    if candidate.is_fitted:
        fault = "is fitted on a task's own texts, and training has none" if candidate.embeds else "gives no vectors"
        yield f"{candidate.kind} {fault}; {OTHERS}"
    ablation = getattr(candidate.spec, "ablation", "none")
    if ablation == SHUFFLED:
        valid = listing(one for one in get_args(Ablation) if one != SHUFFLED)
        yield f"ablation: {ablation}: a text's vector would depend on its neighbours; valid: {valid}"
    for name in SIZED:
        if value := getattr(candidate.spec, name):
            yield f"{name}: {value!r}: a teacher's vectors are whole; take it out, or name an entry without it"
    for name in PROMPTED:
        if value := getattr(candidate.spec, name, None):
            why = "training texts are of no task and have no role, and the teacher reads them without a prompt"
            yield f"{name}: {value!r}: {why}; take it out, or name an entry without it"


def origins_of_teacher(config: TrainConfig, sources: Sources) -> Mapping[str, Mapping[str, str]]:
    """Return what a run's teacher is: another one makes another run."""
    return {"teacher": {"fingerprint": str(teacher_of(config, sources).fingerprint())}}


class TaughtInputs:
    """The text itself, as the mean-pool encoder reads it, and the teacher's vector of it."""

    def __init__(self, config: TrainConfig, trained: Trainable) -> None:
        """Make nothing yet."""
        self._config, self._trained = config, trained
        self._plain = PlainInputs(config, trained, trained.soft_ids())
        self.prefix, self.counters = self._plain.prefix, self._plain.counters
        self._vectors: dict[str, np.ndarray[Any, Any]] | None = None
        self._is_restored = False

    def prepare(self, session: Session, step: int, stops: Callable[[Cost], bool]) -> Prepared:  # noqa: ARG002
        """Make the teacher's vectors of all texts that the steps visit, once.

        Raises:
            InputError: the cosine to a vector of another length than the student's is asked for.
        """
        if self._vectors is not None:
            return Prepared()
        config = self._config
        texts = visited_texts(session.data, config, first=0, end=config.steps)
        candidate = teacher_of(config, session.sources)
        made_from = {
            "teacher": candidate.fingerprint(),
            "seed": config.seed if candidate.draws_random_numbers else 0,
            "versions": {name: versions()[name] for name in MADE_WITH},
        }
        teacher: list[CheckedEncoder] = []

        def make(part: Sequence[str]) -> list[dict[str, Any]]:
            if not teacher:
                teacher.append(_loaded(candidate, config.seed))
            return [{"vector": _packed(one)} for one in teacher[0].encode(part)]

        if not self._is_restored:
            session.progress.say(f"vectors of {len(texts)} texts by the teacher, {candidate.name}")
        work = Work(folder=TEACHER, what="vectors", made_from=made_from, make=make, is_shared=True)
        filled = fill(session, work, texts, stops=stops)
        if not filled.is_whole:
            return Prepared(filled.cost, is_whole=False)
        self._vectors = {text: _unpacked(row["vector"]) for text, row in filled.rows.items()}
        self._refuse_another_length(len(next(iter(self._vectors.values()))))
        return Prepared(filled.cost_made if self._is_restored else filled.cost)

    def of_batch(self, batch: TextBatch) -> list[list[int]]:
        """Return each text's ids, cut to the limit."""
        return self._plain.of_batch(batch)

    def taught(self, texts: Sequence[str]) -> torch.Tensor:
        """Return the teacher's vectors, (n, e) float32."""
        import torch

        assert self._vectors is not None  # noqa: S101 - `prepare` comes first
        return torch.from_numpy(np.stack([self._vectors[text] for text in texts]))

    def facts(self) -> dict[str, float]:
        """Return the mean length of the last texts."""
        return self._plain.facts()

    def state(self) -> dict[str, Any]:
        """Return whether there are vectors."""
        return {"is_taught": self._vectors is not None}

    def restore(self, state: dict[str, Any]) -> None:
        """Note that what the vectors took has been counted."""
        self._is_restored = bool(state.get("is_taught"))

    def _refuse_another_length(self, length: int) -> None:
        own = int(self._trained.model.config.get_text_config().hidden_size)
        if self._config.distil.cosine_weight and length != own:
            raise InputError(
                [
                    f"distil.cosine_weight: the teacher's vectors have {length} numbers, the student's {own}: there is "
                    f"no cosine between them; say cosine_weight: 0, and similarity_weight alone"
                ]
            )


def _loaded(candidate: Candidate, seed: int) -> CheckedEncoder:
    """Return the teacher's encoder; raises InputError where another package's says only now that it must be fitted."""
    encoder = load(candidate, seed=seed, use_cache=False)
    if isinstance(encoder.inner, FittedEncoder):
        raise InputError([f"distil.teacher: {encoder.name} is fitted on a task's own texts; {OTHERS}"])
    return encoder


def _packed(vector: Any) -> str:
    return base64.b64encode(np.ascontiguousarray(vector, dtype="<f4").tobytes()).decode("ascii")


def _unpacked(text: str) -> np.ndarray[Any, Any]:
    return np.frombuffer(base64.b64decode(text), dtype="<f4").astype(np.float32)
