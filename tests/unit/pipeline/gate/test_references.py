from pipeline.gate.references import Judged, of, to_ask


def test_evidence_of_the_logged_model_alone_is_agreement() -> None:
    found = of([Judged("a", "teacher", True), Judged("b", "teacher", False)])
    assert (found.basis, found.differ, found.ask) == ("agreement", 1, 1)
    assert found.shares == {"teacher": 1.0}


def test_it_is_accuracy_once_people_decided_every_item_on_which_the_two_differ() -> None:
    items = [Judged("a", "human", True), Judged("b", "corrected", True), Judged("c", "teacher", False)]
    found = of(items)
    assert (found.basis, found.differ, found.ask) == ("accuracy", 2, 0)
    assert found.shares == {"corrected": 0.3333, "human": 0.3333, "teacher": 0.3333}
    assert of([*items, Judged("d", "escalated", True)]).basis == "agreement"


def test_only_differences_without_a_persons_label_are_asked_about() -> None:
    items = [
        Judged("same", "teacher", False),
        Judged("open", "teacher", True),
        Judged("escalated", "escalated", True),
        Judged("settled", "human", True),
    ]
    assert to_ask(items) == ["open", "escalated"]
