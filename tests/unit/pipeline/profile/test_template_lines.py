from pipeline.profile import template_lines

MESSAGES = [f"Is this message about a boat?\n{boat} leaves at {n}.\nYes or no:" for n, boat in enumerate("ABCDEFGHIJ")]


def test_lines_of_nearly_all_messages_are_the_template() -> None:
    template, material = template_lines.split(MESSAGES, form_of=str)
    assert template == "Is this message about a boat?\nYes or no:"
    assert material[3] == "D leaves at 3."


def test_a_message_that_is_template_alone_stays_whole() -> None:
    alone = "Is this message about a boat?\nYes or no:"
    assert template_lines.removed([*MESSAGES, alone], form_of=str)[-1] == alone


def test_no_messages_have_no_template() -> None:
    assert template_lines.split([]) == ("", [])
