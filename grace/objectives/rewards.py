"""What a rationale is worth: rewards as GRACE published them, with corrected credit, and for all texts of a triplet.

Pure functions over torch tensors. Every term (terms.py) has the shape of the rollouts it pays, (b, k) for b triplets
with k rollouts each, and is larger for better; a reward is the sum of its terms, already weighted and divided by the
temperature. Source: GRACE (arXiv 2510.04506, section 3.2, and its public code). In its supervised form the negative and
the cross-group term are the same for all rollouts of a group, and GRPO subtracts the group's mean: they carry no
gradient (`credit="paper"` keeps them so, and `inert_terms` finds them). `credit="corrected"` makes each term a function
of the rollout it pays; `credit="symmetric"` pays the rollouts of query and negative too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from grace.config.schema import Credit, Truncation
from grace.objectives import terms
from harness.errors import HarnessError

if TYPE_CHECKING:
    from torch import Tensor


Role = Literal["query", "positive", "negative"]

PUBLISHED_TRUNCATED_REWARD = -1.0
"""What GRACE gives a rollout without end-of-turn, beside rewards that are divided by 0.1."""
INERT_TOLERANCE = 2e-6
"""A term whose spread inside a group is this share of its size is constant there: rounding of float32."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RewardSettings:
    """How the terms are weighted."""

    credit: Credit = "corrected"
    """Which formulas; see the head of this file."""
    temperature: float = 0.1
    """tau: similarities are divided by it."""
    contrastive: float = 1.0
    """Of the cosine with the partner text."""
    hard_negative: float = 1.0
    """Of the cosine with the negative, taken off."""
    consistency: float = 0.2
    """lambda 1."""
    cross_group: float = 0.2
    """lambda 2."""
    infonce: float = 0.0
    """Weight of the InfoNCE reward, a log-probability that tau does not divide; 0 leaves it out."""
    infonce_temperature: float = 0.05
    """Of the InfoNCE reward alone."""
    truncation: Truncation = "minimum"
    """What becomes of rollouts that the length limit ended; see `truncate`."""
    is_supervised: bool = True
    """False: the query is one more rationale of the same text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class States:
    """Pooled states of a batch of triplets, any float dtype; (b, m, d), m = k where a text has rollouts, else 1."""

    query: Tensor
    """Unsupervised: one more rationale of the same text (the anchor)."""
    positive: Tensor
    """Unsupervised: rationales of the text."""
    negative: Tensor | None = None
    """None where rows have none."""

    def of(self, role: Role) -> Tensor:
        """Return the states of one text of the triplets.

        Raises:
            HarnessError: the triplets have no such text.
        """
        found: Tensor | None = getattr(self, role)
        if found is None:
            raise HarnessError(f"these rows have no {role}")
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """Rewards of one text's rollouts."""

    rewards: Tensor
    """(b, k) float32."""
    terms: Mapping[str, Tensor]
    """Name to (b, k): what each term adds to the reward, before truncation."""


def rewarded_roles(credit: Credit, *, has_negative: bool) -> tuple[Role, ...]:
    """Return whose rollouts are paid, and so trained."""
    if credit != "symmetric":
        return ("positive",)
    return ("query", "positive", "negative") if has_negative else ("query", "positive")


def score(
    states: States,
    settings: RewardSettings,
    cut: Mapping[Role, Tensor] | None = None,
    *,
    ignored: Tensor | None = None,
) -> dict[Role, Scored]:
    """Return rewards and terms of every paid rollout.

    Args:
        states: of all triplets of the step, from all processes: the in-batch terms look at the others.
        settings: credit, weights, temperature, truncation.
        cut: role to (b, k) bool, whether the length limit ended the rollout; None: none was.
        ignored: (b, b) bool: of query i and positive j, whether they are no negatives of each other. The cross-group
            terms of the published credit do not look at it.

    Raises:
        HarnessError: a state or a reward is not finite.
    """
    unit = _units(states)
    scored: dict[Role, Scored] = {}
    for role in rewarded_roles(settings.credit, has_negative=states.negative is not None):
        own = unit.of(role)
        found = _terms(role, own, unit, settings, consistent=terms.consistency(own), ignored=ignored)
        rewards = sum(found.values(), own.new_zeros(own.shape[:2]))
        if cut is not None and role in cut:
            rewards = truncate(rewards, cut[role], settings.truncation)
        if not bool(rewards.isfinite().all()):
            raise HarnessError(f"rewards of {role} are not finite: {rewards.tolist()}")
        scored[role] = Scored(rewards=rewards, terms=found)
    return scored


@dataclass(frozen=True, slots=True, kw_only=True)
class Greedy:
    """The greedy rationale of each text of one role."""

    states: Tensor
    """(b, 1, d)."""
    cut: Tensor
    """(b, 1) bool, whether the length limit ended it."""


def greedy_rewards(
    greedy: Mapping[Role, Greedy],
    states: States,
    settings: RewardSettings,
    *,
    scored: Mapping[Role, Scored],
    cut: Mapping[Role, Tensor],
    ignored: Tensor | None = None,
) -> dict[Role, Tensor]:
    """Return what the greedy rationale of each paid text would get in each rollout's place, (b, k) a role.

    It takes the place of one rollout and meets the others of the group, so that it does not depend on the rollout whose
    baseline it is (ReMax, arXiv 2310.10505, for a reward that looks at the group).

    Args:
        greedy: of every paid role.
        states, settings, cut, ignored: as `score` had them.
        scored: what it returned.
    """
    unit = _units(states)
    found: dict[Role, Tensor] = {}
    for role, one in greedy.items():
        own = _unit(one.states, role)
        consistent = terms.consistency_in_place(own, unit.of(role))
        values = _terms(role, own, unit, settings, consistent=consistent, ignored=ignored)
        rewards = sum(values.values(), consistent.new_zeros(consistent.shape))
        if settings.truncation == "published":
            rewards = rewards.masked_fill(one.cut, PUBLISHED_TRUNCATED_REWARD)
        elif settings.truncation == "minimum":
            punished = one.cut & ~cut[role].all(dim=1, keepdim=True)
            rewards = rewards.where(~punished, rewards.minimum(scored[role].rewards.amin(dim=1, keepdim=True)))
        found[role] = rewards
    return found


def truncate(rewards: Tensor, cut: Tensor, how: Truncation) -> Tensor:
    """Return rewards in which rollouts that never ended are worth no more than any other of their group, (b, k).

    Args:
        rewards: (b, k).
        cut: (b, k) bool.
        how: `minimum`: the group's minimum (a group in which none ended is left as it is: nothing ranks an ending);
            `published`: -1, whatever the scale of the others; `off`: unchanged.
    """
    if how == "off":
        return rewards
    if how == "published":
        return rewards.masked_fill(cut, PUBLISHED_TRUNCATED_REWARD)
    punished = cut & ~cut.all(dim=1, keepdim=True)
    return rewards.where(~punished, rewards.amin(dim=1, keepdim=True))


def within_group_std(values: Tensor) -> float:
    """Return the standard deviation of (b, k) values inside a group, averaged over groups; population formula."""
    return float(values.float().std(dim=1, correction=0).mean())


def inert_terms(scored: Scored) -> list[str]:
    """Return the names of the terms that are constant inside every group: centring removes them."""
    found = []
    for name, values in scored.terms.items():
        size = max(float(values.abs().max()), 1.0)
        if float((values - values[:, :1]).abs().max()) <= INERT_TOLERANCE * size:
            found.append(name)
    return found


def why_inert(name: str, settings: RewardSettings, *, triplets: int, rollouts: int) -> str:
    """Return, in words for the log, why a term is the same for all rollouts of a group.

    Args:
        name: of the term.
        settings: credit, and whether the data are supervised.
        triplets: of the step.
        rollouts: of each text.
    """
    if settings.credit == "paper" and settings.is_supervised and name in ("hard_negative", "cross_group"):
        return (
            "query and negative have one rationale each, shared by all rollouts of the positive, and the group's mean "
            "is subtracted (credit: paper reproduces this; credit: corrected does not)"
        )
    if name == "cross_group" and triplets == 1:
        return "a step has one triplet, so there is no other to compare with"
    if name == "consistency" and rollouts <= 2:
        return f"{rollouts} rollout(s) a text: two are as close to each other as the other way round"
    return "all rollouts of each group have the same state"


def _terms(
    role: Role, own: Tensor, unit: States, settings: RewardSettings, *, consistent: Tensor, ignored: Tensor | None
) -> dict[str, Tensor]:
    """Return the weighted terms of one text's rollouts; a weight of 0 leaves its term out.

    Args:
        role: whose they are.
        own: their states, (b, m, d), unit length.
        unit: all states of the batch, unit length.
        settings: which formulas, and their weights.
        consistent: their consistency, (b, k).
        ignored: see `score`.
    """
    raw: dict[str, Tensor] = {}
    as_seen = ignored.T if role == "positive" and ignored is not None else ignored
    if role == "negative":
        # The only sign that is turned: a negative is paid for being far from its query.
        raw["contrastive"] = -terms.contrastive(own, unit.query)
    elif role == "query":
        raw["contrastive"] = terms.contrastive(own, unit.positive)
        raw["cross_group"] = terms.cross_group(own, unit.positive, as_seen)
    else:
        raw["contrastive"] = terms.contrastive(own, unit.query)
        raw["cross_group"] = _cross_of_positive(own, unit, settings, as_seen)
    if unit.negative is not None and role != "negative":
        raw["hard_negative"] = (
            terms.hard_negative_published(unit.query, unit.negative, own.shape[1])
            if settings.credit == "paper"
            else terms.hard_negative(own, unit.negative)
        )
    raw["consistency"] = consistent
    weights = {name: getattr(settings, name) / settings.temperature for name in raw}
    found = {name: weights[name] * values for name, values in raw.items() if weights[name]}
    if settings.infonce and role != "negative":
        partner = unit.positive if role == "query" else unit.query
        found["infonce"] = settings.infonce * terms.infonce_reward(
            own, partner, unit.negative, settings.infonce_temperature, as_seen
        )
    return found


def _cross_of_positive(own: Tensor, unit: States, settings: RewardSettings, ignored: Tensor | None) -> Tensor:
    if settings.credit != "paper":
        return terms.cross_group(own, unit.query, ignored)
    if settings.is_supervised:
        return terms.cross_group_published(unit.query, unit.positive)
    return terms.cross_group_mean(own, unit.query)


def _units(states: States) -> States:
    """Return the states with unit length."""
    return States(
        query=_unit(states.query, "query"),
        positive=_unit(states.positive, "positive"),
        negative=None if states.negative is None else _unit(states.negative, "negative"),
    )


def _unit(states: Tensor, role: str) -> Tensor:
    import torch

    if not bool(states.isfinite().all()):
        raise HarnessError(f"pooled states of {role} are not finite: the model has diverged, or its dtype overflowed")
    return torch.nn.functional.normalize(states.float(), dim=-1)
