"""The study's report: `table.md`, `table.csv`, the picture, from what `judge` found; findings are written by hand."""

from __future__ import annotations

import json
from pathlib import Path

import choose
import frontier
from backbones import SMOLLM2, Backbone
from judge import Estimate, Found, Side
from rows import (
    ABLATED,
    BASE,
    LAYOUTS,
    ONE_PASS,
    READER,
    REPEATED,
    ROWS,
    SCALED,
    SENTENCED,
    Reading,
    ablated,
    again,
    again_run,
    entry_name,
    run_name,
    sentenced,
)

from harness.digests import write_atomically
from harness.report.numbers import NOT_THERE, probability
from harness.report.tables import table

HERE = Path(__file__).resolve().parent
READINGS = {
    "text": "text",
    "suffix": "text + fixed sentence",
    "fixed": "text + fixed sentence, layout of rationales",
    "own": "text + own rationale",
    "base": "text + base's rationale",
}


def write(found: Found, out: Path, backbone: Backbone, folder: Path) -> str:
    """Write the report into `folder`; returns its Markdown."""
    drawn = frontier.draw(found)
    text = _markdown(found, out, backbone, has_picture=bool(drawn))
    files = {"table.md": text.encode(), **found.files(), **drawn}
    for name, content in files.items():
        write_atomically(folder / name, content)
    return f"{text}\nwritten: {', '.join(str(folder / name) for name in files)}"


def _markdown(found: Found, out: Path, backbone: Backbone, *, has_picture: bool) -> str:
    findings = HERE / ("findings.md" if backbone is SMOLLM2 else f"findings-{backbone.name}.md")
    said = findings.read_text(encoding="utf-8").strip() if findings.exists() else ""
    title = "# Who writes, who reads" + ("" if backbone is SMOLLM2 else f": {backbone.title}")
    parts = [title, said, "## What was judged", _judged(found, backbone)]
    parts += ["## Merged: one set of weights embeds and answers", _rule(found, "merged")]
    parts += ["![Embedding score against nats lost](frontier.png)"] * has_picture
    parts += ["## Switched: the adapter is off for answering", _SWITCHED, _rule(found, "switched")]
    parts += ["## Differences asked for", _ASKED, _questions(found, backbone)]
    parts += ["## What a student keeps", _KEPT, _kept(found)]
    parts += ["## Adapter scale", _scales(found)]
    parts += ["## Rationales alone differ, and ablations", _beside(found)]
    parts += ["## Each task", _by_task(found)]
    parts += ["## Trainings", _trainings(found), _off_budget(found, backbone), _settings(out)]
    return "\n\n".join(filter(None, parts)) + "\n"


_SWITCHED = (
    "Nothing is forgotten under this rule: answers are the base's own, bit by bit. Its price: the adapter is kept "
    "apart, and text and rationale are read once more for the vector."
)
_ASKED = (
    "The mean over the embedding tasks, one minus the other, paired over items and seeds; 95 % intervals over both "
    "(over items alone where there is one seed). q: Benjamini and Hochberg over all rows that have an answer. "
    "Smallest: the true difference that four of five such studies would have told from 0."
)
OFF_BUDGET = 0.1
"""Share of its budget by which a training that ended by it may be off: that of its last step and its writing."""
_KEPT = (
    f"The student reads the text alone, in one pass; its teacher is {READER} of the same seed, reading text and the "
    "base's rationale. Share of the teacher's gain; 95 % over items. infonce and the rows of a fixed sentence have no "
    "teacher: what one pass gets without one."
)


def _judged(found: Found, backbone: Backbone) -> str:
    cells = found.scores.get(BASE, {})
    said = ", ".join(f"{task} ({cells[task].metric}, n={cells[task].n})" for task in found.embedding)
    nats = ", ".join(f"{task} (n={cells[task].n})" for task in found.ability)
    silent = [task for task in found.embedding if found.values(cells[task]) is None]
    note = f" Without an interval of its own (too few sets): {', '.join(silent)}." if silent else ""
    note += f" {found.from_earlier} entries are of an earlier run of the command." if found.from_earlier else ""
    if any(name.endswith(again_run("")) for name in found.scores):
        note += " Entries named -again were trained and judged a second time; rows keep what was judged first."
    command = "python benchmarks/study" + ("" if backbone is SMOLLM2 else f" --backbone {backbone.name}")
    return (
        f"Made by `{command}`, with {backbone.title}. Test splits, each run once, limited: {said}. The mean is over "
        f"these {len(found.embedding)} tasks, in points.{note} Forgetting: nats a token above the base's, the mean of "
        f"{nats}; less is better. A row stands here when all of its cells are there; dots after a mean are its seeds."
    )


def _rule(found: Found, rule: str) -> str:
    base = found.sides.get((BASE, "text"))
    if base is None:
        return NOT_THERE
    header = ["row", "what is read", "mean of the tasks", "to the base's text", "seeds"]
    header += ["nats a token above the base"] if rule == "merged" else []
    body = []
    for side in _ordered(found, rule):
        apart = found.difference(side, base, found.embedding)
        line = [side.row, READINGS[side.reading], f"{_mean(side):.2f}"]
        line.append(NOT_THERE if side is base else _points(apart))
        line.append(", ".join(f"{one:.1f}" for one in side.means("embedding")) if len(side.seeds) > 1 else "one")
        if rule == "merged":
            is_base = side.row == BASE
            line.append("0" if is_base else _nats(found.difference(side, base, found.ability)))
        body.append(line)
    return table(header, body)


def _ordered(found: Found, rule: str) -> list[Side]:
    """Return the sides that stand under a rule, the best first."""
    wanted = (*ONE_PASS, "own" if rule == "merged" else "base")
    sides = [side for (row, reading), side in found.sides.items() if reading in wanted or row == BASE]
    return sorted(sides, key=lambda side: -_mean(side))


def _mean(side: Side) -> float:
    means = side.means("embedding")
    return sum(means) / len(means)


def _questions(found: Found, backbone: Backbone) -> str:
    body, trained = [], {*backbone.rows, BASE}
    for question, points, nats in found.questions():
        if backbone.rows and not {question.one[0], question.other[0]} <= trained:
            continue
        sides = " - ".join(f"{row} ({READINGS[reading]})" for row, reading in (question.one, question.other))
        if points is None:
            body.append([question.text, question.rule, sides, *[NOT_THERE] * 6])
            continue
        q_value = NOT_THERE if points.q_value is None else probability(points.q_value)
        answered = [_points(points), probability(points.p_value), q_value, f"{points.smallest:.2f}", str(points.seeds)]
        body.append([question.text, question.rule, sides, *answered, _nats(nats) if nats else "0"])
    header = ["question", "rule", "difference", "points", "p", "q", "smallest", "seeds", "nats a token"]
    return table(header, body)


def _kept(found: Found) -> str:
    teacher = found.sides.get((READER, "base"))
    floors = [(name, found.sides.get((name, "text"))) for name in (BASE, "infonce")]
    body = []
    read_in_one: tuple[tuple[str, Reading], ...] = (
        *((row, "text") for row in ("distil", "distil-lora", "soft-tokens", "infonce")),
        ("infonce-suffix", "suffix"),
        ("infonce-fixed", "fixed"),
    )
    for row, reading in read_in_one:
        student = found.sides.get((row, reading))
        if student is None or teacher is None:
            continue
        line = [row, f"{_mean(student):.2f}"]
        for name, floor in floors:
            line.append(_share(found, student, teacher, floor) if floor and name != row else NOT_THERE)
        body.append(line)
    return table(["student", "mean of the tasks", *[f"of the gain over {name} (text)" for name, _ in floors]], body)


def _share(found: Found, student: Side, teacher: Side, floor: Side) -> str:
    """Return a student's share of its teacher's gain, in words where the teacher shows none."""
    if found.difference(teacher, floor, found.embedding).low <= 0:
        return "the teacher shows no gain"
    kept = found.share_kept(student, teacher, floor)
    return NOT_THERE if kept is None else f"{kept[0]:.0%} [{kept[1]:.0%}, {kept[2]:.0%}]"


def _scales(found: Found) -> str:
    body = []
    for row, reading in SCALED:
        scales = found.at_scales(row, reading)
        for scale, (points, nats) in sorted(scales.items(), reverse=True) if len(scales) > 1 else []:
            body.append([row, READINGS[reading], f"{scale}", f"{points:.2f}", f"{nats:+.4f}"])
    header = ["row", "what is read", "scale", "mean of the tasks", "nats a token above the base"]
    return table(header, body) if body else "Not run."


def _beside(found: Found) -> str:
    """Return what stands beside the main rows, each against what it is a variant of."""
    reader = found.of_one_training(READER, "base")
    kinds = {
        ablated(row, seed, reading, one): entry_name(row, seed, reading)
        if seed
        else found.of_one_training(row, reading)
        for (row, seed, reading), ablations in ABLATED.items()
        for one in ablations
    }
    kinds |= {sentenced(row): found.of_one_training(row, reading) for row, reading in SENTENCED}
    kinds |= {name: reader for name in found.scores if name.startswith(f"{READER}-seed-0-reads-")}
    kinds |= {name: name.removesuffix("-48") for name in found.scores if name.endswith("-48")}
    kinds |= {again(*one): entry_name(one[0], 0, one[1]) for one in REPEATED}
    body = []
    for name, own in (*kinds.items(), *LAYOUTS):
        if all(set(found.scores.get(one, {})) == {*found.tasks} for one in (name, own)):
            side, other = _side(found, name), _side(found, own)
            apart = _points(found.difference(side, other, found.embedding))
            body.append([name, f"{_mean(side):.2f}", own, f"{_mean(other):.2f}", apart])
    return table(["entry", "mean of the tasks", "beside", "its mean", "apart"], body) if body else "Not run."


def _side(found: Found, name: str) -> Side:
    return Side(row=name, reading="base", seeds=(0,), cells=(found.scores[name],))


def _by_task(found: Found) -> str:
    body = []
    for side in sorted(found.sides.values(), key=lambda side: -_mean(side)):
        means = [sum(of[task].score for of in side.cells) / len(side.cells) for task in found.tasks]
        shown = [
            f"{one:.1f}" if task in found.embedding else f"{one:.3f}"
            for task, one in zip(found.tasks, means, strict=True)
        ]
        body.append([f"{side.row} ({READINGS[side.reading]})", *shown])
    return table(["row", *found.tasks], body)


def _trainings(found: Found) -> str:
    body, known = [], found.trainings()
    for row in ROWS:
        setting = row if row.variant_of else found.setting(row.name)
        runs = [one for seed in row.seeds * (row.of is None) if (one := known.get(run_name(setting.name, seed)))]
        if not runs or (row.variant_of and row.name == found.setting(row.variant_of).name):
            continue
        spans = [[round(run[key]) for run in runs] for key in ("steps", "cpu_seconds", "generated_tokens")]
        name = row.name + (f" (not shown: a setting of {row.variant_of})" if row.variant_of else "")
        said = [str(of[0]) if len(set(of)) == 1 else f"{min(of)} to {max(of)}" for of in spans]
        options = [*setting.options, *([f"{setting.budgets} budgets"] if setting.budgets > 1 else [])]
        body.append([name, f"{row.config}.yaml", " ".join(options) or NOT_THERE, str(len(runs)), *said])
    header = ["row", "configuration", "options", "seeds", "steps", "CPU seconds", "tokens written"]
    return table(header, body)


def _off_budget(found: Found, backbone: Backbone) -> str:
    """Say which runs took another time than the budget: trained for a number of steps, or on another machine."""
    wanted = {run_name(row.name, seed): row.budgets * backbone.budget for row in ROWS for seed in row.seeds}
    wanted |= {again_run(name): budget for name, budget in wanted.items()}
    known = {name: run for name, run in found.trainings().items() if name in wanted}
    off = [
        f"{name} ({run['steps']:.0f} steps in {run['cpu_seconds']:,.0f})"
        for name, run in known.items()
        if abs(run["cpu_seconds"] / wanted[name] - 1) > OFF_BUDGET
    ]
    if not off:
        return f"Each was trained for its budget of {backbone.budget} CPU seconds."
    why = "they were told a number of steps, or what the budget is on another machine"
    return f"Not within the budget of {backbone.budget} CPU seconds, since {why}: {', '.join(off)}."


def _settings(out: Path) -> str:
    file = out / choose.FILE
    if not file.exists():
        return "No setting was chosen yet."
    kept = json.loads(file.read_text(encoding="utf-8"))
    data = "STSBenchmark and Emotion validation, GSM8K train"
    lines = [f"Settings chosen on development data ({data}), seed 0, of {SMOLLM2.title}:"]
    for name, each in kept["figures"].items():
        said = "; ".join(f"{row} {of['development']:.2f} points, {of['nats']:+.4f} nats" for row, of in each.items())
        lines.append(f"- {name}: {kept['chosen'][name]} ({said})")
    return "\n".join(lines)


def _points(one: Estimate) -> str:
    return f"{one.value:+.2f} [{one.low:.2f}, {one.high:.2f}]"


def _nats(one: Estimate) -> str:
    return f"{one.value:+.4f} [{one.low:.4f}, {one.high:.4f}]"
