"""YAML with positions, and near-miss suggestions."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import InputError
from harness.wording import did_you_mean, display_path, listing
from harness.yaml_source import Node, Position, from_plain, load, parse

TEXT = """\
# a comment
name: demo
models:
  - {name: base, limit: 3}
  - name: other
    prompts:
      query: "q: "
empty:
"""


def problems_of(text: str) -> list[str]:
    """Return the problems of a text that must have some."""
    with pytest.raises(InputError) as caught:
        parse(text, "f.yaml")
    return caught.value.problems


def at(line: int, column: int) -> Position:
    """Return a position in the file the tests parse."""
    return Position("f.yaml", line, column)


@pytest.mark.parametrize(
    ("loc", "value", "key_position", "position"),
    [
        (("name",), "demo", at(2, 1), at(2, 7)),
        (("models", 0, "name"), "base", at(4, 6), at(4, 12)),
        (("models", 0, "limit"), 3, at(4, 18), at(4, 25)),
        (("models", 1, "name"), "other", at(5, 5), at(5, 11)),
        (("models", 1, "prompts", "query"), "q: ", at(7, 7), at(7, 14)),
        (("empty",), None, at(8, 1), at(8, 7)),
    ],
)
def test_every_key_and_value_knows_where_it_stands(loc, value, key_position, position):
    """Keys and values carry their 1-based line and column, in block and in flow style."""
    node = parse(TEXT, "f.yaml").nearest(loc)
    assert (node.value, node.key_position, node.position) == (value, key_position, position)


def test_mappings_and_list_elements_stand_where_they_begin():
    """A mapping stands at its first key or brace, a list at its first dash; list elements have no key."""
    tree = parse(TEXT, "f.yaml")
    models = tree.get("models")
    assert tree.position == at(2, 1)
    assert models.position == at(4, 3)
    assert [(one.position, one.key_position) for one in models.items()] == [(at(4, 5), None), (at(5, 5), None)]


def test_columns_count_characters_not_bytes():
    """Letters of two and four bytes count as one column each."""
    assert parse("{ä𝄞: x, b: y}", "f.yaml").get("b").key_position == at(1, 9)


def test_plain_gives_back_what_yaml_says():
    """`plain` is the value as any YAML reader gives it."""
    models = [{"name": "base", "limit": 3}, {"name": "other", "prompts": {"query": "q: "}}]
    assert parse(TEXT, "f.yaml").plain() == {"name": "demo", "models": models, "empty": None}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("1.5", 1.5),
        ("yes", True),
        ("~", None),
        ("'1'", "1"),
        ("0x10", 16),
        ("1e3", 1000.0),
        ("'1e3'", "1e3"),
        (".5", 0.5),
        ("1_000", 1000),
        ("09", "09"),
        ("é", "é"),
    ],
)
def test_scalars_are_typed_as_yaml_1_1_types_them(text, value):
    """Numbers, booleans and null are no text, quoted ones are; of YAML 1.2 the exponent without a point."""
    found = parse(f"a: {text}", "f.yaml").get("a").value
    assert (found, type(found)) == (value, type(value))


def test_keys_are_text_even_when_they_look_like_numbers():
    """A key is its text as written, so that it can be looked up and shown."""
    assert parse("1: a\nyes: b", "f.yaml").plain() == {"1": "a", "yes": "b"}


def test_nearest_passes_over_steps_that_are_not_there():
    """The deepest node on the way is returned; unknown keys, indices and steps into scalars are passed over."""
    tree = parse(TEXT, "f.yaml")
    assert tree.nearest(()) is tree
    assert tree.nearest(("nothing", "there")) is tree
    assert tree.nearest(("models", 7)) is tree.get("models")
    assert tree.nearest(("models", 0, "some-kind", "limit")).value == 3
    assert tree.nearest(("name", "deeper", 0)).value == "demo"


def test_get_and_items_of_the_wrong_kind_are_empty():
    """Looking into a scalar finds nothing and raises nothing."""
    scalar = parse("x", "f.yaml")
    assert scalar.get("a") is None
    assert scalar.items() == []


def test_a_repeated_key_is_a_problem_with_both_positions():
    """PyYAML lets the last one win in silence."""
    assert problems_of("a: 1\nb:\n  c: 1\n  d: 2\n  c: 3\na: 2\n") == [
        "f.yaml:5:3: key 'c' is given twice; the first is at f.yaml:3:3",
        "f.yaml:6:1: key 'a' is given twice; the first is at f.yaml:1:1",
    ]


def test_a_second_document_is_a_problem():
    """One file holds one document; the second one's first value is pointed at."""
    assert problems_of("a: 1\n---\nb: 2\n") == [
        "f.yaml:3:1: a second YAML document begins here; one file holds one document"
    ]


def test_a_key_that_is_no_text_is_a_problem():
    """A list or a mapping as a key is refused at its place."""
    assert problems_of("a: 1\n? [x, y]\n: 2\n") == ["f.yaml:2:3: a key must be plain text"]


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment\n"], ids=["nothing", "blank", "comment"])
def test_an_empty_file_is_a_problem(text):
    """Nothing, blank lines, comments alone: the message says what is expected."""
    assert problems_of(text) == ["f.yaml:1:1: the file is empty; expected keys and values, such as version: 1"]


def test_an_explicit_null_document_is_null():
    """`---` alone is a document, as YAML has it; what wants a mapping refuses it itself."""
    assert parse("---\n", "f.yaml") == Node(None, at(2, 1))


def test_a_tab_is_named():
    """Indentation by tabs is the commonest reason why a file is no YAML."""
    assert problems_of("a:\n\tb: 1\n") == [
        "f.yaml:2:1: not YAML: while scanning for the next token: found character '\\t' that cannot start any token"
        "; indent with spaces, not with tabs"
    ]


def test_an_open_bracket_says_where_it_was_opened():
    """The parser fails lines later; the message names the beginning as well."""
    assert problems_of("a: 1\nb: [1, 2\nc: 3\n") == [
        "f.yaml:3:2: not YAML: while parsing a flow sequence that begins at line 2, column 4: "
        "expected ',' or ']', but got ':'"
    ]


def test_a_control_character_is_placed():
    """A NUL is reported at its own line and column."""
    assert problems_of("a: 1\nb: x\0y\n") == [
        "f.yaml:2:5: not YAML: unacceptable character #x0000: special characters are not allowed"
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 2024-13-45", "f.yaml:1:4: YAML reads 2024-13-45 as a date; quote it: '2024-13-45'"),
        ("a: 2024-01-02", "f.yaml:1:4: YAML reads 2024-01-02 as a date; quote it: '2024-01-02'"),
        ("a: 040", "f.yaml:1:4: YAML reads 040 as the octal number 32; write 40, or quote it if it is text"),
        ("a: -0_17", "f.yaml:1:4: YAML reads -0_17 as the octal number -15; write 17, or quote it if it is text"),
        ("a: 1:30", "f.yaml:1:4: YAML reads 1:30 as a number to base 60; write one number, or quote it if it is text"),
        (
            "a: 1:30.5",
            "f.yaml:1:4: YAML reads 1:30.5 as a number to base 60; write one number, or quote it if it is text",
        ),
        (f"a: {10**30}", f"f.yaml:1:4: '{10**30}' is too large for a number; quote it if it is text"),
        ("a: -1.5e+400", "f.yaml:1:4: '-1.5e+400' is too large for a number; quote it if it is text"),
        (
            "a: !!python/object:os.system {}",
            "f.yaml:1:4: a value of type python/object:os.system is not read here; take the tag out",
        ),
        ("a: !!set {b}", "f.yaml:1:4: a value of type set is not read here; take the tag out"),
        ("a: !!binary aGk=", "f.yaml:1:4: 'aGk=' is no binary; quote it if it is text"),
        (
            'a: "x\\ud83d"',
            "f.yaml:1:4: half a character, \\ud83d; write the character itself, or \\U with its eight hex digits",
        ),
        (
            '"\\ude00": 1',
            "f.yaml:1:1: half a character, \\ude00; write the character itself, or \\U with its eight hex digits",
        ),
        ('a: "x\\0"', "f.yaml:1:4: a NUL character in 'x\\x00'; take it out"),
        ("a: {<<: 1}", "f.yaml:1:5: << takes a mapping, or a list of them"),
        ("a: !mine b", "f.yaml:1:4: 'b' is no !mine; quote it if it is text"),
        ("a: !!int b", "f.yaml:1:4: 'b' is no int; quote it if it is text"),
    ],
)
def test_a_scalar_that_cannot_be_read_is_a_problem(text, message):
    """A date that is none and a tag nobody knows are the user's mistakes, not ours."""
    assert problems_of(text) == [message]


def test_an_alias_inside_its_own_anchor_is_a_problem():
    """A list that holds itself is refused, not walked for ever."""
    assert problems_of("a: &loop [1, *loop]\n") == ["f.yaml:1:4: an alias stands for this and is inside of it"]


def test_aliases_of_aliases_are_not_written_out_for_ever():
    """Ten lines that stand for ten billion values end at once, with a place."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 10)]
    (problem,) = problems_of("\n".join(lines))
    assert problem.startswith("f.yaml:1:")
    assert "with its aliases written out the file has more than 200000 values" in problem


def test_merge_keys_are_read():
    """A key of the mapping's own wins, then the first mapping of a list."""
    text = "a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\nc:\n  <<: [*a, *b]\n  x: 3\nd: {<<: *a}\n"
    found = parse(text, "f.yaml").plain()
    assert found["c"] == {"x": 3, "y": 1, "z": 2}
    assert found["d"] == {"x": 1, "y": 1}


def test_every_fault_is_told_and_the_rest_is_read():
    """A file of several is not mended one by one, and what else is wrong with it can be said too."""
    text = "a: 040\nb: 1:30\nc: 3\n"
    assert len(problems_of(text)) == 2
    faults = []
    tree = parse(text, "f.yaml", faults)
    assert [str(fault.position) for fault in faults] == ["f.yaml:1:4", "f.yaml:2:4"]
    assert tree.plain() == {"a": 32, "b": 90, "c": 3}


@pytest.mark.parametrize("text", ["no", "1.10", "0x1F", "~", "1e5", "TRUE"])
def test_what_is_no_text_keeps_how_it_was_written(text):
    """For messages; texts and what a command set are shown as Python has them."""
    node = parse(f"a: {text}", "f.yaml").get("a")
    assert (node.written, node.spelling) == (text, text)
    assert parse("a: b", "f.yaml").get("a").spelling == "'b'"
    assert parse("a:", "f.yaml").get("a").spelling == "nothing"


def test_an_alias_reads_as_its_anchor():
    """Aliases that hold no circle are allowed."""
    assert parse("a: &x [1]\nb: *x\n", "f.yaml").plain() == {"a": [1], "b": [1]}


def test_nesting_beyond_the_stack_is_a_problem():
    """Absurd depth is refused with a message."""
    assert problems_of("[" * 100_000) == ["f.yaml:1:1: the file is nested too deeply"]
    deep = "nested too deeply: more than 50 lists and mappings in one another"
    assert problems_of("[" * 60 + "]" * 60) == [f"f.yaml:1:52: {deep}"]


def test_a_file_that_is_not_utf8_is_a_problem(tmp_path, monkeypatch):
    """The message names the file as the user would type it."""
    monkeypatch.chdir(tmp_path)
    Path("latin.yaml").write_bytes("a: é\nname: Zürich".encode().replace("ü".encode(), b"\xfc"))
    with pytest.raises(InputError) as caught:
        load(Path("latin.yaml"))
    assert len(caught.value.problems) == 1
    assert caught.value.problems[0].startswith("latin.yaml:2:8: not UTF-8: invalid start byte; save it as UTF-8")
    Path("latin.yaml").write_bytes("name: x".encode("utf-16"))
    with pytest.raises(InputError, match=r"latin\.yaml:1:1: the file is UTF-16; save it as UTF-8, such as by iconv"):
        load(Path("latin.yaml"))


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path):
    """Files as Windows saves them are read."""
    (tmp_path / "a.yaml").write_bytes("a: 1\r\n".encode("utf-8-sig"))
    assert load(tmp_path / "a.yaml").plain() == {"a": 1}


@pytest.mark.parametrize(
    ("there", "message"),
    [
        (["full.yaml", "fast.yml"], "ful.yaml: no such file; did you mean 'full.yaml'?"),
        (["uni.yaml", "notes.txt"], "ful.yaml: no such file; YAML files there: uni.yaml"),
        (["notes.txt"], "ful.yaml: no such file"),
    ],
)
def test_a_missing_file_suggests_what_is_there(tmp_path, monkeypatch, there, message):
    """A near name is suggested, else the YAML files beside it are listed; the shared suffix makes no name near."""
    monkeypatch.chdir(tmp_path)
    for name in there:
        Path(name).touch()
    with pytest.raises(InputError) as caught:
        load(Path("ful.yaml"))
    assert caught.value.problems == [message]


def test_a_missing_folder_is_said(tmp_path, monkeypatch):
    """Where the folder is missing too, that is the news."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as caught:
        load(Path("none/full.yaml"))
    assert caught.value.problems == ["none/full.yaml: no such file; the folder 'none' does not exist either"]


def test_a_folder_in_place_of_a_file_is_a_problem(tmp_path):
    """Reading a folder is a user's mistake and ends as one."""
    with pytest.raises(InputError, match="cannot be read"):
        load(tmp_path)


def test_load_names_the_file_as_seen_from_the_working_directory(tmp_path, monkeypatch):
    """Positions are relative where that is how a user would type them, absolute elsewhere."""
    (tmp_path / "here").mkdir()
    file = tmp_path / "here" / "a.yaml"
    file.write_text("a: 1", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert str(load(file).position) == "here/a.yaml:1:1"
    monkeypatch.chdir(tmp_path / "here")
    assert display_path(tmp_path / "b.yaml") == str(tmp_path / "b.yaml")


def test_a_position_without_a_line_is_its_source_alone():
    """Overrides have no line."""
    assert str(Position("-o limit=3")) == "-o limit=3"


def test_from_plain_puts_every_node_at_one_position():
    """What a command-line override sets stands at that override, at every depth."""
    where = Position("-o x")
    tree = from_plain({"a": [1, {"b": 2}], 3: None}, where)

    def positions(node: Node) -> set[Position]:
        children = [*node.items(), *(node.value.values() if isinstance(node.value, dict) else ())]
        return {node.position}.union(*(positions(child) for child in children))

    assert tree.plain() == {"a": [1, {"b": 2}], "3": None}
    assert positions(tree) == {where}


@pytest.mark.parametrize(
    ("value", "choices", "most", "said"),
    [
        ("STSBenchmrk", ["STS12", "STSBenchmark"], 1, "; did you mean 'STSBenchmark'?"),
        ("scifact", ["SciFact", "SciDocs"], 1, "; did you mean 'SciFact'?"),
        ("test1", ["test2", "test3", "other"], 2, "; did you mean 'test3' or 'test2'?"),
        ("xyz", ["abc"], 1, ""),
        ("xyz", [], 1, ""),
        (7, ["7"], 1, "; did you mean '7'?"),
    ],
)
def test_did_you_mean_names_the_nearest(value, choices, most, said):
    """Case does not matter, what is far is not suggested, and the spelling given is the valid one."""
    assert did_you_mean(value, choices, most=most) == said


def test_listing_is_cut_with_the_number_left_out():
    """Up to `most` names are shown, and how many more there are."""
    assert listing("abc", most=3) == "a, b, c"
    assert listing("abcde", most=3) == "a, b, c, ... (2 more)"
    assert listing([]) == ""
