"""What `harness plan` says of cost: the sums, and how the work spreads over devices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.cost.estimate import CellCost, estimated_tokens
from harness.cost.pace import Pace
from harness.cost.spread import Spread
from harness.cost.totals import Totals, most_expensive
from harness.plan.cells import Cell, Plan
from harness.plan.tasks import resolve_tasks
from harness.suite.load import load_suite
from harness.suite.shipped import shipped_suites
from harness.wording import duration

LONG_RUN_SECONDS = 3600
"""From here on, cheaper suites are named."""
SHORTEST_SAID = 60
"""Seconds of scoring from which on they are told apart."""
MILLION = 1e6
GIGABYTE = 1e9
FLOOR_SHARE = 0.5
"""Of the time: a single unit that takes more is what keeps more devices from helping."""
STEPS = {"whole": "at once", "open": "opening it", "shard": "one shard", "close": "closing it"}


def print_cost(
    plan: Plan, paces: Mapping[str, Pace | None], to_run: Sequence[tuple[Cell, CellCost]], summed: Totals
) -> None:
    """Print the sums, the paces they stand on, and which tasks are dearest.

    Args:
        plan: what is planned.
        paces: by model.
        to_run: the cells that have no score, and their costs.
        summed: of these.
    """
    print(f"\nto run: about {_millions(summed.tokens_in)} tokens through the models", end="")
    if summed.tokens_to_generate_at_most:
        most = _millions(summed.tokens_to_generate_at_most)
        print(f", {_millions(summed.tokens_to_generate)} to generate (at most {most})", end="")
    print(f", {_bytes(summed.vector_bytes)} of vectors" if summed.vector_bytes else "")
    if summed.unknown:
        print(f"  {summed.unknown} cell(s) have no known cost and are not in these sums")
    for name, pace in paces.items():
        print(f"  pace of {name}: {pace.source if pace else 'not known: --calibrate measures it here'}")
    if summed.seconds is not None:
        without = f", {summed.untimed} cell(s) without a pace not in it" if summed.untimed else ""
        print(f"  time: about {duration(summed.seconds)}{without}")
    if summed.scoring_seconds >= SHORTEST_SAID:
        of_it = "of it " if summed.seconds is not None else "besides, "
        print(f"  {of_it}classifiers and k-means, on one core: about {duration(summed.scoring_seconds)}")
    if len(plan.tasks) > 1:
        ranked, unit = most_expensive(to_run)
        dear = ", ".join(
            f"{label} ({duration(cost) if unit == 'seconds' else _millions(cost) + ' tokens'})"
            for label, cost in ranked
        )
        print(f"  most expensive, all models together: {dear}" if dear else "  nothing to run has a known cost")
    if summed.seconds is None or summed.seconds > LONG_RUN_SECONDS:
        _print_cheaper(plan)


def print_spread(summed: Totals, spread: Sequence[Spread]) -> None:
    """Print what the work is cut into, the disk that takes, and the time on so many devices."""
    among = f", among them {summed.shards} shards of {summed.cells_cut} cell(s)" if summed.cells_cut else ""
    print(f"\nunits of work: about {summed.units}{among}")
    if summed.uncut_unknown:
        print(f"  of {summed.uncut_unknown} cell(s) it is not known whether they are cut: not in these")
    if summed.cells_cut:
        print(f"  disk for the vectors of cells that are cut: {_disk(summed.shard_bytes)}")
    if not spread:
        return
    print(f"  {'devices':>7}  {'time':>12}  longest piece")
    for one in spread:
        piece = f"{one.longest_cell}, {STEPS[one.longest_step]}: {duration(one.longest_seconds)}"
        floor = (
            f", {one.longest_share:.0%} of the time: more devices help little"
            if one.longest_share >= FLOOR_SHARE
            else ""
        )
        print(f"  {one.devices:7}  {duration(one.seconds):>12}  {piece}{floor}")
    print("  (as a run hands it out: longest first, models loaded on each device; search in the vectors is not in it)")
    if without := summed.unknown + summed.untimed:
        print(f"  (nor are {without} cell(s) whose time is not known)")


def _disk(size: int | None) -> str:
    return "not known: --calibrate measures or --dimension states how long they are" if size is None else _bytes(size)


def _bytes(size: int) -> str:
    return f"{size / GIGABYTE:.1f} GB" if size >= GIGABYTE else f"{size / MILLION:.0f} MB"


def _print_cheaper(plan: Plan) -> None:
    own = estimated_tokens(plan.tasks)
    cheaper = []
    for name in shipped_suites():
        tasks = resolve_tasks(load_suite(name).suite)
        tokens = estimated_tokens(tasks)
        if 0 < tokens < own / 2 and not any(task.custom for task in tasks):
            cheaper.append((tokens, name))
    if cheaper:
        shown = ", ".join(
            f"{name} ({tokens / own:.2%} of the tokens)" for tokens, name in sorted(cheaper, reverse=True)
        )
        print(f"  cheaper: --limit N, or the suites {shown}")


def _millions(tokens: float) -> str:
    """Return a number of tokens in millions, such as `0.04M` or `710M`."""
    millions = tokens / MILLION
    return f"{millions:,.0f}M" if millions >= 10 else f"{millions:.2g}M"
