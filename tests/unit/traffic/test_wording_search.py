"""Search for many wordings in one pass."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from traffic.wording_search import Literals, WordIndex, WordingSearch, after, beginnings, pattern_text

SEARCH = WordingSearch({"label": (r"(one|single) word", "labels? only"), "code": ("write … code",)})


def found(text: str) -> set[str]:
    return SEARCH.names(text, SEARCH.scan(text))


def test_wordings_are_found_at_word_boundaries_only() -> None:
    assert found("a single word, please") == {"label"}
    assert found("everyone wordless: relabel only, one words") == set()


def test_a_gap_does_not_cross_sentence_boundaries() -> None:
    assert found("write me some code") == {"code"}
    assert found("write to me. code is bad") == set()


WORDINGS = (
    "write … code",
    "(plans?|break) … (steps|code … steps)",
    "(code … steps|steps)",
    "code( … plan)? only",
    r"only( the| a)? ([\w'-]+ ){0,2}(plans?|code)",
    r"write\b([:\s]|only|a)*\b(one|1)[- ]plan",
    r"plans? (the|a) \w+",
    r"(?<=a )code (\w+ )*steps?",
    r"(write|only) ((a|the) )+(?!plan)\w+ plan",
)


@given(
    st.lists(st.sampled_from("write code plan plans steps only a the one 1 1-plan write: . \n".split(" ")), max_size=12)
)
def test_the_index_finds_the_wordings_that_their_patterns_find(words: list[str]) -> None:
    text = " ".join(words)
    matching = {w for w in WORDINGS if re.search(rf"\b(?:{pattern_text([w])})\b", text)}
    search = WordingSearch({w: (w,) for w in WORDINGS})
    assert search.names(text, search.scan(text)) == matching


def test_words_are_found_by_kind_in_the_same_pass() -> None:
    search = WordingSearch({"code": ("write … code",)}, {"order": [" write", " do "], "verb": [" write "]})
    scan = search.scan("write or rewrite. do it, writers")
    assert scan.positions == {"order": [0, 18, 25], "verb": [0]}
    assert search.names("write or rewrite. do it, writers", scan) == set()


@given(st.text(st.sampled_from("abcé \ud800"), max_size=30), st.lists(st.text("abcé", min_size=1), max_size=4))
def test_literals_are_found_in_any_text_that_has_one(text: str, literals: list[str]) -> None:
    found = Literals(literals).find(text)
    assert all(literal in literals and text.startswith(literal, at) for literal, at in found)
    assert bool(found) == any(literal in text for literal in literals)


def test_a_wording_after_frequent_words_is_indexed_by_its_own_words() -> None:
    search = WordingSearch({"long": after(("a", "the"), "(story|report)")})
    for text, names in (("tell me a story", {"long"}), ("tell me no story", set())):
        assert search.names(text, search.scan(text)) == names


def test_wordings_are_found_in_a_text_that_has_lost_parts_since_its_scan() -> None:
    hits = SEARCH.scan("write, not labels only, some code. one word")
    assert SEARCH.names("write,  , some code. one word", hits, [(7, 22, 1)]) == {"code", "label"}
    assert SEARCH.names("write,  , some code. ", hits, [(7, 22, 1), (35, 43, 0)]) == {"code"}


@pytest.mark.parametrize(
    "wording, starts",
    [
        ("labels? only", {"label only ", "labels only "}),
        ("(un|une) mot", {"un mot ", "une mot "}),
        ("(?<=x )(a b|cd)", {"a b ", "cd "}),
        ("write … code", {"write "}),
        ("tl;?dr", {"tl dr ", "tldr "}),
        (r"categori[sz]e\w*", {"categorise", "categorize"}),
        ("say( it| so)* (?!no)yes", {"say it", "say so", "say yes "}),
        (r"one (\w+ )?of", {"one "}),
    ],
)
def test_beginnings_are_listed_as_long_as_they_are_few(wording: str, starts: set[str]) -> None:
    assert beginnings(wording) == starts


@pytest.mark.parametrize("wording", [r"\d+ words", r"(very )?\w+", "(so)*"])
def test_a_wording_that_can_begin_with_anything_is_refused(wording: str) -> None:
    with pytest.raises(ValueError, match="must begin with letters"):
        beginnings(wording)


@given(st.text(max_size=80))
def test_words_are_found_where_they_begin(text: str) -> None:
    starts = [match.start() for match in re.finditer(r"\w+", text)]
    words = {text[at] for at in starts}
    index = WordIndex([f" {letter}" for letter in sorted(words)])
    assert [start for _, start, _ in index.find(text)] == starts


def test_a_space_stands_for_any_border() -> None:
    index = WordIndex([" no longer "])
    assert [at for _, at, _ in index.find("it is (no-longer) so, no_longer, no\nlonger")] == [7, 33]
    assert [at for _, at, _ in index.find("«no longer»")] == [1]
