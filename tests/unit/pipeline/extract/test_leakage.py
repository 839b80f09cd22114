from pipeline.dataset import SPLITS, Leakage
from pipeline.extract.config import ExtractConfig
from pipeline.extract.leakage import report
from pipeline.extract.rows import Row
from tests.fakes.call_site_rows import row

LONG = "please send the two blue chairs to my new address in the old town"


def parts(**rows: list[Row]) -> dict[str, list[Row]]:
    return {name: rows.get(name, []) for name in SPLITS}


def test_disjoint_splits_have_no_leakage() -> None:
    leakage = report(parts(train=[row(1, "one thing")], test=[row(2, LONG)]), ExtractConfig())
    assert list(leakage) == list(SPLITS[1:])
    assert leakage["test"] == Leakage(rows=1, exact=0, near=0, sessions=0, users=0, ngrams=1, ngrams_in_train=0)


def test_each_kind_of_leakage_is_counted_in_the_later_split() -> None:
    train = [row(1, LONG), row(2, "where is my card", session_id="s", user_id="u")]
    test = [
        row(3, "where is my card"),
        row(4, "Where is my card??", session_id="s"),
        row(5, f"hello there, I moved out, so could you be so kind and {LONG}", user_id="u"),
        row(6, "something else"),
    ]
    counts = report(parts(train=train, test=test), ExtractConfig())["test"]
    assert counts == Leakage(rows=4, exact=1, near=2, sessions=1, users=1, ngrams=1, ngrams_in_train=1)


def test_leakage_counts_from_all_earlier_splits_and_ngrams_from_train_only() -> None:
    leakage = report(parts(train=[row(0, "first")], threshold=[row(1, LONG)], test=[row(2, LONG)]), ExtractConfig())
    assert (leakage["test"].exact, leakage["test"].near, leakage["test"].ngrams_in_train) == (1, 1, 0)


def test_scripts_without_spaces_use_character_ngrams() -> None:
    text = "カードがまだ届いていません"
    leakage = report(
        parts(train=[row(1, text)], test=[row(2, f"先週から{text}。どうすればいいですか")]), ExtractConfig()
    )
    assert (leakage["test"].ngrams, leakage["test"].ngrams_in_train) == (1, 1)
