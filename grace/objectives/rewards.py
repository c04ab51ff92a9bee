"""What a rationale is worth: rewards as GRACE published them, with corrected credit, and for all texts of a triplet.

Pure functions over torch tensors. Every term has the shape of the rollouts it pays, (b, k) for b triplets with k
rollouts each, and is larger for better; a reward is the sum of its terms, already weighted and divided by the
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


def score(states: States, settings: RewardSettings, cut: Mapping[Role, Tensor] | None = None) -> dict[Role, Scored]:
    """Return rewards and terms of every paid rollout.

    Args:
        states: of all triplets of the step, from all processes: the in-batch terms look at the others.
        settings: credit, weights, temperature, truncation.
        cut: role to (b, k) bool, whether the length limit ended the rollout; None: none was.

    Raises:
        HarnessError: a state or a reward is not finite.
    """
    unit = States(
        query=_unit(states.query, "query"),
        positive=_unit(states.positive, "positive"),
        negative=None if states.negative is None else _unit(states.negative, "negative"),
    )
    scored: dict[Role, Scored] = {}
    for role in rewarded_roles(settings.credit, has_negative=states.negative is not None):
        terms = _terms(role, unit, settings)
        rewards = sum(terms.values(), unit.of(role).new_zeros(unit.of(role).shape[:2]))
        if cut is not None and role in cut:
            rewards = truncate(rewards, cut[role], settings.truncation)
        if not bool(rewards.isfinite().all()):
            raise HarnessError(f"rewards of {role} are not finite: {rewards.tolist()}")
        scored[role] = Scored(rewards=rewards, terms=terms)
    return scored


def contrastive(rollouts: Tensor, partner: Tensor) -> Tensor:
    """Return the mean cosine of each rollout to its partner text's states, (b, k), in [-1, 1].

    Args:
        rollouts: (b, k, d), unit length.
        partner: (b, m, d), unit length.
    """
    return (rollouts @ partner.transpose(1, 2)).mean(dim=2)


def consistency(rollouts: Tensor) -> Tensor:
    """Return the mean cosine of each rollout to the others of its group, (b, k); 0 for a group of one.

    Args:
        rollouts: (b, k, d), unit length.
    """
    k = rollouts.shape[1]
    if k == 1:
        return rollouts.new_zeros(rollouts.shape[:2])
    similar = rollouts @ rollouts.transpose(1, 2)  # (b, k, k)
    return (similar.sum(dim=2) - similar.diagonal(dim1=1, dim2=2)) / (k - 1)


def hard_negative(rollouts: Tensor, negative: Tensor) -> Tensor:
    """Return minus the mean cosine of each rollout to its triplet's negative, (b, k)."""
    return -contrastive(rollouts, negative)


def hard_negative_published(query: Tensor, negative: Tensor, k: int) -> Tensor:
    """Return minus the cosine of query and negative, the same for all k rollouts of the positive, (b, k)."""
    return -contrastive(query, negative).mean(dim=1, keepdim=True).expand(-1, k)


def cross_group(rollouts: Tensor, others: Tensor) -> Tensor:
    """Return minus the largest cosine of each rollout to another triplet's text, (b, k); 0 with one triplet.

    Args:
        rollouts: (b, k, d), unit length.
        others: (b, m, d), unit length; of m states of a text, the mean cosine counts, as within a triplet.
    """
    b, k, _ = rollouts.shape
    if b == 1:
        return rollouts.new_zeros(b, k)
    return -_without_own(_across(rollouts, others), float("-inf")).amax(dim=2)


def cross_group_mean(rollouts: Tensor, others: Tensor) -> Tensor:
    """Return minus the mean cosine of each rollout to the other triplets' texts, (b, k): published, unsupervised."""
    b, k, _ = rollouts.shape
    if b == 1:
        return rollouts.new_zeros(b, k)
    return -_without_own(_across(rollouts, others), 0.0).sum(dim=2) / (b - 1)


def cross_group_published(query: Tensor, rollouts: Tensor) -> Tensor:
    """Return minus mean over i' != i of max over l of cosine(q_i, d+_i'l), the same for all k rollouts, (b, k)."""
    b, k, _ = rollouts.shape
    if b == 1:
        return rollouts.new_zeros(b, k)
    similar = _pairwise(query[:, :1], rollouts)[:, 0].amax(dim=2)  # (b, b): query i, best rollout of i'
    others = similar.sum(dim=1) - similar.diagonal()
    return (-others / (b - 1))[:, None].expand(b, k)


def infonce_reward(rollouts: Tensor, partner: Tensor, negative: Tensor | None, temperature: float) -> Tensor:
    """Return the log-probability that a rollout picks its own partner out of the batch, (b, k), at most 0.

    Candidates are the partner, the other triplets' partners and the triplet's own negative. They are taken from the
    rollout's side, so that every one of them, not the partner alone, tells the rollouts of a group apart.

    Args:
        rollouts: (b, k, d), unit length.
        partner: (b, m, d), unit length; the mean cosine to the m states of a text counts.
        negative: (b, m, d) or None.
        temperature: cosines are divided by it.
    """
    logits = _across(rollouts, partner) / temperature  # (b, k, b)
    own = contrastive(rollouts, partner) / temperature
    if negative is not None:
        import torch

        logits = torch.cat([logits, contrastive(rollouts, negative)[:, :, None] / temperature], dim=2)
    return own - logits.logsumexp(dim=2)


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


def _terms(role: Role, unit: States, settings: RewardSettings) -> dict[str, Tensor]:
    """Return the weighted terms of one text's rollouts; a weight of 0 leaves its term out."""
    own = unit.of(role)
    raw: dict[str, Tensor] = {}
    if role == "negative":
        # The only sign that is turned: a negative is paid for being far from its query.
        raw["contrastive"] = -contrastive(own, unit.query)
    elif role == "query":
        raw["contrastive"] = contrastive(own, unit.positive)
        raw["cross_group"] = cross_group(own, unit.positive)
    else:
        raw["contrastive"] = contrastive(own, unit.query)
        raw["cross_group"] = _cross_of_positive(unit, settings)
    if unit.negative is not None and role != "negative":
        raw["hard_negative"] = (
            hard_negative_published(unit.query, unit.negative, own.shape[1])
            if settings.credit == "paper"
            else hard_negative(own, unit.negative)
        )
    raw["consistency"] = consistency(own)
    weights = {name: getattr(settings, name) / settings.temperature for name in raw}
    terms = {name: weights[name] * values for name, values in raw.items() if weights[name]}
    if settings.infonce and role != "negative":
        partner = unit.positive if role == "query" else unit.query
        terms["infonce"] = settings.infonce * infonce_reward(own, partner, unit.negative, settings.infonce_temperature)
    return terms


def _cross_of_positive(unit: States, settings: RewardSettings) -> Tensor:
    if settings.credit != "paper":
        return cross_group(unit.positive, unit.query)
    if settings.is_supervised:
        return cross_group_published(unit.query, unit.positive)
    return cross_group_mean(unit.positive, unit.query)


def _unit(states: Tensor, role: str) -> Tensor:
    import torch

    if not bool(states.isfinite().all()):
        raise HarnessError(f"pooled states of {role} are not finite: the model has diverged, or its dtype overflowed")
    return torch.nn.functional.normalize(states.float(), dim=-1)


def _pairwise(left: Tensor, right: Tensor) -> Tensor:
    """Return cosines of every state with every other, (b, k, b', m)."""
    b, k, d = left.shape
    return (left.reshape(b * k, d) @ right.reshape(-1, d).T).view(b, k, right.shape[0], right.shape[1])


def _across(rollouts: Tensor, others: Tensor) -> Tensor:
    """Return the mean cosine of each rollout to each triplet's text, (b, k, b)."""
    return _pairwise(rollouts, others).mean(dim=3)


def _without_own(similar: Tensor, fill: float) -> Tensor:
    """Return (b, k, b) values with each triplet's own column replaced."""
    import torch

    own = torch.eye(similar.shape[0], dtype=torch.bool, device=similar.device)
    return similar.masked_fill(own[:, None], fill)
