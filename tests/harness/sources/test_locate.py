"""Where data and weights come from: local hub, then cache, then the network; what is lacking and how to get it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from suites_support import dataset_head, isolate, weights, write

from harness.digests import sha256_files, visible_files
from harness.sources.content import content_of
from harness.sources.locate import locate_dataset, locate_model
from harness.sources.places import Gap, Located, Sources, go_offline, hub_cache

COMMIT = "0123456789abcdef0123456789abcdef01234567"
OTHER_COMMIT = "f" * 40
DATA = "some-org/some-data"
MODEL = "some-org/some-model"


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """An empty local hub, in a working directory and with caches of the test's own."""
    isolate(monkeypatch, tmp_path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hub").mkdir()
    return tmp_path / "hub"


def cached(kind: str, repo: str, commit: str, *references: str) -> Path:
    """Lay out a repository in the Hugging Face cache by hand, as its client does."""
    folder = hub_cache() / f"{kind}--{repo.replace('/', '--')}"
    write(folder / "snapshots" / commit / "file.txt", "content")
    for reference in references:
        write(folder / "refs" / reference, commit)
    return folder


def data(
    sources: Sources,
    revision: str | None = None,
    subsets: tuple[str, ...] = ("default",),
    splits: tuple[str, ...] = ("test",),
) -> Located | Gap:
    """Look for the dataset."""
    return locate_dataset(sources, DATA, revision, subsets=subsets, splits=splits)


def test_a_local_hub_comes_before_the_cache_and_the_network(hub):
    """The same name in all three: the folder is taken, and keyed by its content."""
    folder = hub / "datasets" / DATA
    write(folder / "test.jsonl", "x")
    cached("datasets", DATA, COMMIT, "main")
    found = data(Sources(hub=hub), COMMIT)
    digest = sha256_files(folder, visible_files(folder))
    assert found == Located(
        kind="local hub",
        load_from=str(folder),
        revision=None,
        identity={"files_sha256": digest},
        source=f"local hub {folder}",
        vouched=None,
        content=content_of(folder, "rows"),
    )


def test_the_cache_comes_before_the_network(hub):
    """A snapshot of the pinned commit."""
    assert data(Sources(hub=hub), COMMIT).kind == "hub"
    cached("datasets", DATA, COMMIT)
    assert data(Sources(hub=hub), COMMIT) == Located(
        kind="cache",
        load_from=DATA,
        revision=COMMIT,
        identity={"repo": DATA, "commit": COMMIT},
        source="Hugging Face cache",
        vouched="pinned revision",
    )


def test_a_pinned_revision_is_known_without_the_network(hub):
    """Its key does not depend on whether it was downloaded yet."""
    before = data(Sources(), COMMIT)
    cached("datasets", DATA, COMMIT)
    assert before.identity == data(Sources(), COMMIT).identity == data(Sources(offline=True), COMMIT).identity


@pytest.mark.parametrize(
    ("revision", "reference", "commit"),
    [(None, "main", COMMIT), ("main", "main", COMMIT), ("v1.0", "v1.0", OTHER_COMMIT)],
)
def test_a_branch_or_tag_is_resolved_by_the_caches_refs_when_offline(hub, revision, reference, commit):
    """As the client wrote them; nothing vouches for what a branch points to."""
    cached("models", MODEL, commit, reference)
    found = locate_model(Sources(offline=True), MODEL, revision, None)
    assert found == Located(
        kind="cache",
        load_from=MODEL,
        revision=commit,
        identity={"repo": MODEL, "commit": commit},
        source="Hugging Face cache",
        vouched=None,
    )


def test_a_branch_is_unknown_while_the_network_may_be_asked(hub):
    """It may have moved since it was cached: no identity, and so no key."""
    cached("models", MODEL, COMMIT, "main")
    found = locate_model(Sources(), MODEL, None, None)
    assert (found.identity, found.revision, found.vouched) == (None, None, None)
    assert locate_model(Sources(), MODEL, "v1.0", None).revision == "v1.0"


@pytest.mark.parametrize(
    ("revision", "at"),
    [(None, ""), ("v1.0", " --revision v1.0"), (COMMIT, f" --revision {COMMIT}")],
)
def test_what_is_nowhere_is_a_gap_offline_with_its_command(hub, revision, at):
    """For data and for models; the command downloads into the local hub."""
    cached("datasets", DATA, OTHER_COMMIT, "other")
    gap = data(Sources(hub=hub, offline=True), revision)
    assert isinstance(gap, Gap)
    assert gap.what == f"dataset {DATA}"
    assert gap.why == f"not in {hub}, not in {hub_cache()}, and --offline forbids asking"
    assert gap.command == f"hf download {DATA} --repo-type dataset{at} --local-dir {hub}/datasets/{DATA}"
    of_model = locate_model(Sources(hub=hub, offline=True), MODEL, revision, None)
    assert isinstance(of_model, Gap)
    assert of_model.command == f"hf download {MODEL}{at} --local-dir {hub}/models/{MODEL}"


def test_without_a_local_hub_the_command_says_where_one_would_be(hub):
    """HUB stands for the folder that the user chooses."""
    gap = data(Sources(offline=True))
    assert gap.why == f"no --hub given, not in {hub_cache()}, and --offline forbids asking"
    assert gap.command.endswith(f"--local-dir HUB/datasets/{DATA}")


@pytest.mark.parametrize(
    ("configs", "subsets", "splits", "why"),
    [
        ({"default": {"test": "a"}}, ("default",), ("test",), None),
        ({"default": {"test": "a", "train": "a"}}, ("default",), ("test", "train"), None),
        ({"en": {"test": "a"}, "de": {"test": "a"}}, ("en", "de"), ("test",), None),
        ({"en": {"test": "a"}}, ("en", "fr"), ("test",), "has no subset 'fr'; it has: en"),
        ({"en": {"test": "a"}}, ("default",), ("test",), "has no subset 'default'; it has: en"),
        ({"default": {"test": "a"}}, ("en",), ("test",), "has no subset 'en'; it has: default"),
        ({"default": {"train": "a"}}, ("default",), ("test",), "has no split 'test' in 'default'; it has: train"),
        (
            {"default": {"train": "a", "test": "a"}},
            ("default",),
            ("test", "dev"),
            "has no split 'dev' in 'default'; it has: train, test",
        ),
        (
            {"corpus": {"corpus": "a"}, "queries": {"queries": "a"}, "default": {"test": "a"}},
            ("default",),
            ("test",),
            None,
        ),
        ({"en-corpus": {"corpus": "a"}, "en-qrels": {"test": "a"}}, ("en",), ("test",), None),
        ({"en-qrels": {"dev": "a"}}, ("en",), ("test",), "has no split 'test' in 'en-qrels'; it has: dev"),
    ],
)
def test_a_readme_that_declares_less_than_the_task_reads_is_a_gap(hub, configs, subsets, splits, why):
    """Subset by subset and split by split, before anything is loaded."""
    folder = hub / "datasets" / DATA
    write(folder / "README.md", dataset_head(configs))
    write(folder / "a", "x")
    found = data(Sources(hub=hub), COMMIT, subsets, splits)
    if why is None:
        assert isinstance(found, Located)
    else:
        assert isinstance(found, Gap)
        assert found.why == f"{folder} {why}"
        assert f"--revision {COMMIT} --local-dir {folder}" in found.command


@pytest.mark.parametrize(
    "readme", [None, "# No head", "---\nlicense: mit\n---\n", "---\n: [\n---\n", "---\n- a list\n---\n"]
)
def test_a_folder_that_does_not_say_what_it_holds_is_taken(hub, readme):
    """No README, no head, no configs, a head that is no YAML: the files speak when they are read."""
    folder = hub / "datasets" / DATA
    write(folder / "test.jsonl", "x")
    if readme is not None:
        write(folder / "README.md", readme)
    assert isinstance(data(Sources(hub=hub)), Located)


def test_an_empty_folder_is_a_gap(hub):
    """A download that was cut off at its beginning."""
    folder = hub / "datasets" / DATA
    write(folder / ".cache" / "lock", "")
    assert data(Sources(hub=hub)).why == f"{folder} is empty"


def test_a_model_is_a_folder_first(hub):
    """A path that exists is taken, whatever repository has that name."""
    weights(Path(MODEL))
    weights(hub / "models" / MODEL, "of the hub")
    found = locate_model(Sources(hub=hub), MODEL, None, None)
    assert found.load_from == str(Path(MODEL).resolve())
    assert found.source == f"folder {MODEL}"


def test_a_model_may_be_a_file(hub):
    """Such as a GGUF; only it is hashed, not its neighbours."""
    file = write(hub / "w" / "model.gguf", "weights")
    before = locate_model(Sources(), str(file), None, None)
    write(hub / "w" / "other.gguf", "other")
    assert before.load_from == str(file)
    assert locate_model(Sources(), str(file), None, None) == before


def test_a_model_below_the_home_folder_is_found(hub, monkeypatch):
    """`~` is expanded."""
    monkeypatch.setenv("HOME", str(hub))
    weights(hub / "w")
    assert locate_model(Sources(), "~/w", None, None).load_from == str(hub / "w")


@pytest.mark.parametrize("reference", ["runs/not/there", "./gone", "/nowhere/at/all", "a b"])
def test_a_path_that_is_no_repository_and_not_there_is_a_gap(hub, reference):
    """It cannot be asked for by name."""
    gap = locate_model(Sources(hub=hub), reference, None, None)
    assert (gap.what, gap.why) == (f"model {reference!r}", "no such folder")


def test_a_model_in_the_local_hub_is_taken(hub):
    """models/ORG/NAME, keyed by content."""
    folder = weights(hub / "models" / MODEL)
    found = locate_model(Sources(hub=hub, offline=True), MODEL, None, None)
    assert (found.load_from, found.source) == (str(folder), f"local hub {folder}")
    assert list(found.identity) == ["files_sha256"]


@pytest.mark.parametrize(
    ("environment", "folder"),
    [
        ({"HF_HUB_CACHE": "/c", "HF_HOME": "/h"}, "/c"),
        ({"HF_HOME": "/h"}, "/h/hub"),
        ({}, "/home/me/.cache/huggingface/hub"),
        ({"HF_HUB_CACHE": "~/c"}, "/home/me/c"),
    ],
)
def test_the_cache_is_where_the_hubs_own_client_has_it(monkeypatch, environment, folder):
    """By its environment variables."""
    for name in ("HF_HUB_CACHE", "HF_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"HOME": "/home/me", **environment}.items():
        monkeypatch.setenv(name, value)
    assert hub_cache() == Path(folder)


def test_going_offline_tells_every_client(monkeypatch):
    """Before any of them is imported."""
    names = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE")
    for name in names:
        monkeypatch.setenv(name, "0")
    go_offline()
    assert [os.environ[name] for name in names] == ["1", "1", "1"]
