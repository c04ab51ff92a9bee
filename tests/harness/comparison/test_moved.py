"""The items that moved between two models, over per-item results made by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
from cells_support import make_score
from moved_support import cell, plain_retrieval

from harness.comparison.moved import OLDER, moves
from harness.comparison.moved_items import Document, Text
from harness.results.store import Store


def test_queries_that_moved_come_with_both_rankings(tmp_path: Path) -> None:
    """The largest change first, either way; documents in the order of each model, judged ones marked."""
    store, new, old = plain_retrieval(tmp_path)
    found = moves(store, "finds", new, old, most=5)
    assert (found.n, found.better, found.worse) == (3, 1, 1)
    assert [(one.item, round(one.change, 6)) for one in found.items] == [("query q1", 0.5), ("query q2", -0.1)]
    first = found.items[0]
    assert first.texts == (Text("Query", "what is <b>one</b>"),)
    assert first.gold == "1 relevant document"
    assert first.relevant == (Document(id="d2", text="text d2"),)
    assert [(one.rank, one.id, one.relevance, one.text) for one in first.a.documents] == [
        (1, "d2", 1, "text d2"),
        (2, "d1", None, "text d1"),
    ]
    assert [one.id for one in first.b.documents] == ["d1", "d2"]
    assert first.b.documents[0].score == 0.9
    assert first.a.said == "ndcg_at_10 1.000"
    assert found.remark == ""


def test_the_other_way_round_every_change_turns(tmp_path: Path) -> None:
    """The same items, with signs and counts exchanged."""
    store, new, old = plain_retrieval(tmp_path)
    there, back = moves(store, "finds", new, old, most=5), moves(store, "finds", old, new, most=5)
    assert [one.item for one in there.items] == [one.item for one in back.items]
    assert [one.change for one in there.items] == [-one.change for one in back.items]
    assert (back.better, back.worse) == (there.worse, there.better)
    assert back.items[0].a == there.items[0].b


def test_so_many_items_are_shown_as_are_asked_for(tmp_path: Path) -> None:
    """All of them are counted."""
    store, new, old = plain_retrieval(tmp_path)
    found = moves(store, "finds", new, old, most=1)
    assert [one.item for one in found.items] == ["query q1"]
    assert found.better + found.worse == 2


def test_without_texts_nothing_of_the_data_is_left(tmp_path: Path) -> None:
    """Names, ranks and judgements stay."""
    store, new, old = plain_retrieval(tmp_path)
    found = moves(store, "finds", new, old, most=5, with_texts=False)
    assert "text d" not in repr(found)
    assert "what is" not in repr(found)
    assert [one.id for one in found.items[0].a.documents] == ["d2", "d1"]
    asked = {"item": [0], "question": ["secret?"], "target": ["gold"], "answers": [["said"]], "score": [1.0]}
    own = cell(store, "new", "asked", "Ability", asked, axis="ability")
    other = cell(store, "old", "asked", "Ability", {**asked, "score": [0.0]}, axis="ability")
    said = repr(moves(store, "asked", own, other, most=5, with_texts=False).items)
    assert not any(word in said for word in ("secret", "gold'", "said:", "right:"))


def test_items_are_paired_by_name_where_the_orders_differ(tmp_path: Path) -> None:
    """And an item that only one has is none."""
    store = Store(tmp_path)
    own = cell(store, "new", "t", "Retrieval", {"query": ["a", "b", "c"], "score": [0.0, 1.0, 0.5]})
    other = cell(store, "old", "t", "Retrieval", {"query": ["b", "a"], "score": [0.25, 0.0]})
    found = moves(store, "t", own, other, most=5)
    assert found.n == 2
    assert [(one.item, one.change) for one in found.items] == [("query b", 0.75)]


def test_cells_without_texts_say_so(tmp_path: Path) -> None:
    """What earlier versions kept is shown all the same."""
    store = Store(tmp_path)
    columns = {"query": ["a"], "top_documents": [["d9"]], "top_scores": [[0.5]]}
    own = cell(store, "new", "t", "Retrieval", {**columns, "score": [1.0]})
    other = cell(store, "old", "t", "Retrieval", {**columns, "score": [0.0]})
    found = moves(store, "t", own, other, most=5)
    assert found.remark == OLDER
    assert found.items[0].a.documents == (Document(id="d9", rank=1, score=0.5),)


def test_of_equal_changes_those_with_texts_come_first(tmp_path: Path) -> None:
    """So that there is something to read; how many have some is said."""
    store = Store(tmp_path)
    kept = {"is_kept": [False, True], "text": [None, "a text"], "item": [0, 1], "label": [1, 1]}
    own = cell(store, "new", "t", "Classification", {**kept, "score": [1.0, 1.0]})
    other = cell(store, "old", "t", "Classification", {**kept, "score": [0.0, 0.0]})
    found = moves(store, "t", own, other, most=1)
    assert found.items[0].texts == (Text("Text", "a text"),)
    assert found.remark == "the texts of 1 of its 2 items are kept"


def test_where_less_is_better_a_loss_is_a_gain(tmp_path: Path) -> None:
    """Nats per token: the change is as it is, and the counts turn."""
    store = Store(tmp_path)
    columns = {"item": [0], "nll": [2.0], "tokens": [4], "question": ["some text"]}
    own = cell(store, "new", "t", "Likelihood", {**columns, "score": [0.5]}, axis="ability", lower_is_better=True)
    other = cell(store, "old", "t", "Likelihood", {**columns, "score": [0.75]}, axis="ability", lower_is_better=True)
    found = moves(store, "t", own, other, most=5)
    assert (found.better, found.worse, found.items[0].change) == (1, 0, -0.25)
    assert found.items[0].a.said == "0.5000 nats per token over 4 tokens"
    assert found.items[0].texts == (Text("Question", "some text"),)


def test_pairs_and_labels_say_what_each_model_made_of_them(tmp_path: Path) -> None:
    """STS: gold and both cosines; pairs: the label; classification: how often which label was predicted."""
    store = Store(tmp_path)
    pairs = {"item": [0, 1, 2], "gold": [0.0, 2.5, 5.0], "text_1": ["a", "b", "c"], "text_2": ["d", "e", "f"]}
    own = cell(store, "new", "sts", "STS", {**pairs, "cosine": [0.1, 0.2, 0.3]})
    other = cell(store, "old", "sts", "STS", {**pairs, "cosine": [0.1, 0.3, 0.2]})
    found = moves(store, "sts", own, other, most=1)
    one = found.items[0]
    assert (one.item, one.gold, one.change) == ("item 1", "gold score 2.5", 0.5)
    assert one.texts == (Text("Text 1", "b"), Text("Text 2", "e"))
    assert one.a.said == "cosine 0.200, its rank 0% of all ranks from that of the gold score"
    assert one.b.said == "cosine 0.300, its rank 50% of all ranks from that of the gold score"
    labelled = {"item": [0, 1], "label": [1, 0]}
    own = cell(store, "new", "pairs", "PairClassification", {**labelled, "similarity": [0.9, 0.1]})
    other = cell(store, "old", "pairs", "PairClassification", {**labelled, "similarity": [0.1, 0.9]})
    one = moves(store, "pairs", own, other, most=1).items[0]
    assert (one.gold, one.a.value, one.b.value) == ("label 1", 1.0, 0.0)
    assert one.b.said == "similarity 0.100, on the wrong side of 100% of the pairs of the other label"
    classes = {"item": [7], "label": ["x"]}
    guesses = {"prediction_0": ["x"], "prediction_1": ["y"]}
    own = cell(store, "new", "classes", "Classification", {**classes, **guesses, "score": [0.5]})
    guesses = {"prediction_0": ["y"], "prediction_1": ["y"]}
    other = cell(store, "old", "classes", "Classification", {**classes, **guesses, "score": [0.0]})
    one = moves(store, "classes", own, other, most=1).items[0]
    assert (one.item, one.gold) == ("item 7", "label x")
    assert (one.a.said, one.b.said) == ("predicted x (1 of 2), y (1 of 2)", "predicted y (2 of 2)")


def test_a_set_comes_with_the_texts_that_moved_most(tmp_path: Path) -> None:
    """Four texts of two labels: the first model has both labels apart, the other one text on the wrong side."""
    store = Store(tmp_path)
    texts = {"set": [0] * 4, "item": [0, 1, 2, 3], "label": ["a", "a", "b", "b"], "text": ["t0", "t1", "t2", "t3"]}
    texts |= {"is_kept": [True] * 4}
    own = cell(store, "new", "sets", "Clustering", {**texts, "cluster": [0, 0, 1, 1]})
    other = cell(store, "old", "sets", "Clustering", {**texts, "cluster": [0, 0, 0, 1]})
    (one,) = moves(store, "sets", own, other, most=5).items
    assert one.item == "set 0"
    assert one.a.said == "V-measure 1.000"
    assert one.texts[0] == Text("label b, B-cubed F 1.00 against 0.40", "t2")
    assert len(one.texts) == 4


def test_a_document_comes_with_its_summaries(tmp_path: Path) -> None:
    """Each with its rating and both similarities."""
    store = Store(tmp_path)
    columns = {"item": [3], "human": [[1.0, 4.5]], "human_summary": ["by a human"], "summaries": [["s0", "s1"]]}
    own = cell(store, "new", "sums", "Summarization", {**columns, "cosine": [[0.1, 0.2]], "score": [1.0]})
    other = cell(store, "old", "sums", "Summarization", {**columns, "cosine": [[0.4, 0.3]], "score": [-1.0]})
    (one,) = moves(store, "sums", own, other, most=5).items
    assert one.texts[0] == Text("A human's summary", "by a human")
    assert one.texts[2] == Text("rated 4.5, cosine 0.200 against 0.300", "s1")


def test_a_question_comes_with_both_answers(tmp_path: Path) -> None:
    """And what a filter took out of them, where that is something else."""
    store = Store(tmp_path)
    columns = {"item": [0], "question": ["1 + 1?"], "target": ["2"], "filtered,none": ["2"]}
    own = cell(store, "new", "q", "Ability", {**columns, "answers": [["it is 2"]], "score": [1.0]}, axis="ability")
    columns["filtered,none"] = ["[invalid]"]
    other = cell(store, "old", "q", "Ability", {**columns, "answers": [["three"]], "score": [0.0]}, axis="ability")
    (one,) = moves(store, "q", own, other, most=5).items
    assert one.gold == "right: 2"
    assert (one.a.said, one.b.said) == ("m 1.000, answered: it is 2", "m 0.000, answered: three (taken: [invalid])")


@pytest.mark.parametrize("side", ["own", "base"])
def test_why_there_are_no_items_is_said(tmp_path: Path, side: str) -> None:
    """A cell without per-item results, one cell for both, a metric that is no matter of single items."""
    store, new, old = plain_retrieval(tmp_path)
    bare = make_score(model="bare", items_missing="no mean of items", provenance={"cell": "bare/finds"}, key="b" * 20)
    both = (bare, old) if side == "own" else (new, bare)
    assert moves(store, "finds", *both, most=5).remark == "bare/finds has no per-item results: no mean of items"
    assert moves(store, "finds", new, new, most=5).remark == "both models share one stored cell: nothing moved"
    odd = cell(store, "odd", "t", "Ability", {"item": [0], "answers": [["x"]]}, axis="ability")
    fine = cell(store, "fine", "t", "Ability", {"item": [0], "answers": [["x"]]}, axis="ability")
    assert moves(store, "t", odd, fine, most=5).remark == "its metric is no matter of single items"


def test_parts_are_named_where_there_are_several(tmp_path: Path) -> None:
    """An item's name alone would not say which it is."""
    store = Store(tmp_path)
    places = {"part": ["one", "two"], "split": ["test"] * 2, "subset": ["default"] * 2, "query": ["q", "q"]}
    own, other = (
        cell(store, model, "t", "Retrieval", {**places, "score": scores})
        for model, scores in (("new", [1.0, 0.0]), ("old", [0.0, 0.5]))
    )
    found = moves(store, "t", own, other, most=5)
    assert [(one.where, one.change) for one in found.items] == [("one test default", 1.0), ("two test default", -0.5)]
