"""docs/scaling.md shows what the plan prints, and names what its JSON has."""

from __future__ import annotations

import json
import re
import shlex

import pytest
import yaml
from places import REPOSITORY
from suites_support import harness

from harness.tasks.catalogue import catalogue

PAGE = (REPOSITORY / "docs" / "scaling.md").read_text(encoding="utf-8")
SHOWN = re.findall(r"^    (harness plan (?:.*\\\n)*.*)\n\n((?:    .*\n)+)", PAGE, re.MULTILINE)


@pytest.mark.parametrize(("command", "output"), SHOWN)
def test_plans_are_shown_as_they_are_printed(tmp_path, command, output):
    """Every line but those that are left out."""
    done = harness(*shlex.split(command.replace("\\\n", ""))[1:], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    wanted = [line[4:] for line in output.splitlines() if line.strip() != "..."]
    assert [line for line in wanted if line not in done.stdout.splitlines()] == []


def test_there_are_plans_to_compare():
    """The figures of two models."""
    assert len(SHOWN) == 2
    assert all("devices" in output for _, output in SHOWN)


def test_every_name_of_the_json_is_there(tmp_path):
    """In the object that the table says."""
    (tmp_path / "mine.yaml").write_text(
        "version: 1\nname: mine\nmodels: [{name: base, encoder: mean-pool, model: a/b}]\n"
        "tasks: {embedding: {names: [STS12]}}\n",
        encoding="utf-8",
    )
    shown = harness("plan", "mine.yaml", "--offline", "--tokens-per-second", "10", "--json", cwd=tmp_path).stdout
    plan = json.loads(shown)
    objects = {"cells[]": plan["cells"][0], "totals": plan["totals"], "spread[]": plan["spread"][0]}
    rows = re.findall(r"^\| `([a-z\[\]]+)` \| (`.*?`) \|", PAGE, re.MULTILINE)
    assert len(rows) == 7
    lacking = [
        (place, name) for place, names in rows for name in re.findall(r"`(\w+)`", names) if name not in objects[place]
    ]
    assert lacking == []


def test_the_job_is_yaml_with_one_part_an_index():
    """Its indices begin at 0, the parts at 1; there are as many of one as of the other."""
    job = yaml.safe_load(re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)[0])
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert f'--shard "$((JOB_COMPLETION_INDEX + 1))/{job["spec"]["completions"]}"' in container["args"][0]
    script = re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL)[0]
    (last,) = re.findall(r"--array=1-(\d+)", script)
    assert f'--shard "$SLURM_ARRAY_TASK_ID/{last}"' in script


def test_the_corpora_that_share_nearly_all_differ_as_it_says():
    """Documents are the texts that are no queries."""
    documents = []
    for name in ("FEVER", "ClimateFEVER"):
        counts = catalogue().tasks[name].counts["test"]["default"]
        documents.append(counts.texts - counts.items)
    assert f"differ by {abs(documents[0] - documents[1])} of 5.4 million documents" in PAGE
