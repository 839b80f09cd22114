"""Letters among answers."""

from collections.abc import Callable

import pytest

from pipeline.profile.letters import is_letter
from tests.fakes.growth import assert_linear

BODY = "\n\nThank you for your note. We will look at it on Monday."


@pytest.mark.parametrize(
    "salutation",
    [
        "Dear Mister Olsen,", "Hi Ana!", "Hello,", "Good morning Ms Vidal,", "Dear Mr. Olsen,", "Dear [Name],",
        "Hi {name}!", "**Dear team:**",
        "Sehr geehrte Kollegen,", "Liebe Ana,", "Guten Tag Frau Vidal,", "Bonjour Madame,", "Chère Ana,",
        "Estimada señora Vidal:", "Buenos días,", "Gentile signora Vidal,", "Buongiorno Ana,", "Prezado senhor Lima,",
        "Beste mevrouw De Wit,", "Szanowna Pani,", "Dzień dobry,", "Hej Ana,", "Kære Ana,", "Hyvä asiakas,",
        "Vážená paní Nová,", "Stimată doamnă,", "Tisztelt Ügyfelünk!", "Sayın Yılmaz,", "Αγαπητή Άννα,",
        "Уважаемая Анна!", "Здравствуйте,", "Шановна пані Анно,", "尊敬的王先生：", "您好！", "田中様", "김철수님께,",
        "안녕하세요, 김철수님.", "प्रिय अना,", "عزيزتي آنا،", "שלום רב,", "เรียน คุณสมชาย", "Kính gửi chị Lan,",
    ],
)  # fmt: skip
def test_a_letter_begins_with_a_salutation_on_a_line_of_its_own(salutation: str) -> None:
    assert is_letter(salutation + BODY)


@pytest.mark.parametrize(
    "text",
    [
        "Sure, here you go!" + BODY,
        "Great question!" + BODY,
        "Of course," + BODY,
        "Natürlich!" + BODY,
        "Good choice!" + BODY,
        "¡Claro que sí!" + BODY,
        "当然可以！" + BODY,
        "Hidden costs," + BODY,
        "Dag 1:" + BODY,
        "Beste Wahl:" + BODY,
        "Dear" + " old" * 12 + "," + BODY,
        "Hello, the shop opens at nine.",
        "First, the tide is low.\nThen it rises.",
        "## Berths,\n\nfour",
        '{\n"a": 1,\n"b": 2}',
        "red,\ngreen,\nblue",
        "*\n\n*",
        "",
    ],
)
def test_other_openings_are_no_salutation(text: str) -> None:
    assert not is_letter(text)


@pytest.mark.parametrize(
    "closing", ["Best regards,\nAna", "Viele Grüße,\n\nDein Team", "— With thanks,\nAna Ruiz\nHarbour office"]
)
def test_a_name_alone_is_a_salutation_where_the_text_closes_like_a_letter(closing: str) -> None:
    assert is_letter(f"Ms Vidal,{BODY}\n\n{closing}")
    assert not is_letter(f"Ms Vidal,{BODY}")


def test_a_subject_may_stand_before_the_salutation() -> None:
    assert is_letter(f"Subject: Your note of 3 May\n\nDear Ana,{BODY}")
    assert is_letter(f"**Betreff:** Termin\n\nLiebe Ana,{BODY}")


SPACES = ["\n", " ", "\t", " \n", "\x0b"]


@pytest.mark.parametrize("opening", ["", "S:\n", "Hi,\n"])
@pytest.mark.parametrize("space", SPACES)
def test_a_long_opening_is_read_in_linear_time(opening: str, space: str) -> None:
    def reading(spaces: int) -> Callable[[], object]:
        text = opening + space * spaces + "late"
        return lambda: is_letter(text)

    assert_linear(reading, 16_000)
