from pipeline.gate.references import LabelledPair, of, to_ask


def test_evidence_from_the_logged_model_only_is_agreement() -> None:
    reference = of([LabelledPair("a", "teacher", True), LabelledPair("b", "teacher", False)])
    assert (reference.basis, reference.differ, reference.ask) == ("agreement", 1, 1)
    assert reference.shares == {"teacher": 1.0}


def test_evidence_is_accuracy_if_all_differences_have_human_labels() -> None:
    items = [
        LabelledPair("a", "human", True),
        LabelledPair("b", "corrected", True),
        LabelledPair("c", "teacher", False),
    ]
    reference = of(items)
    assert (reference.basis, reference.differ, reference.ask) == ("accuracy", 2, 0)
    assert reference.shares == {"corrected": 0.3333, "human": 0.3333, "teacher": 0.3333}
    assert of([*items, LabelledPair("d", "escalated", True)]).basis == "agreement"


def test_only_differences_without_a_human_label_are_exported() -> None:
    items = [
        LabelledPair("same", "teacher", False),
        LabelledPair("open", "teacher", True),
        LabelledPair("escalated", "escalated", True),
        LabelledPair("settled", "human", True),
    ]
    assert to_ask(items) == ["open", "escalated"]
