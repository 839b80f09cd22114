from functools import partial

import pytest

from tests.fakes.growth import assert_linear
from traffic.redaction.phones import TooManyValues
from traffic.redaction.recognisers import find, may_hold


def found(text: str) -> list[tuple[str, str]]:
    assert may_hold(text) or not find(text)
    return [(span.type, text[span.start : span.end]) for span in find(text)]


@pytest.mark.parametrize(
    "text, kind, value",
    [
        ("write to ana.li+shop@mail.example.com, please", "EMAIL", "ana.li+shop@mail.example.com"),
        ("'ana@intranet.corp' is mine", "EMAIL", "ana@intranet.corp"),
        ("連絡先：ana@example.comです", "EMAIL", "ana@example.com"),
        ("mail ana.li (at) example.org now", "EMAIL", "ana.li (at) example.org"),
        ("ana[AT]example.org", "EMAIL", "ana[AT]example.org"),
        ("reach me at +1 202-555-0143.", "PHONE", "+1 202-555-0143"),
        ("+1 202-555-0143 2 times a day", "PHONE", "+1 202-555-0143"),
        ("0049 30 23125 194", "PHONE", "0049 30 23125 194"),
        ("Ruf 030 23125 194 an", "PHONE", "030 23125 194"),
        ("my office: (202) 555-0143", "PHONE", "(202) 555-0143"),
        ("（電話03-5550-4031）", "PHONE", "03-5550-4031"),
        ("text me on 2025550143", "PHONE", "2025550143"),
        ("for order 12345 +1 202-555-0143 2 times", "PHONE", "+1 202-555-0143"),
        ("for order 12345 4242 4242 4242 4242 2 times", "CARD", "4242 4242 4242 4242"),
        ("ईमेल संपर्क@डाटामेल.भारत है", "EMAIL", "संपर्क@डाटामेल.भारत"),
        ("請联系：用户@例子.公司。", "EMAIL", "用户@例子.公司"),
        ("open https://x.example/?email=ana%40example.com&page=1", "EMAIL", "ana%40example.com"),
        ("電話は03-5550-4031です", "PHONE", "03-5550-4031"),
        ("Telefon:030/23125194", "PHONE", "030/23125194"),
        ("Tel.: 030 - 23 12 51 94", "PHONE", "030 - 23 12 51 94"),
        ("card 4242 4242 4242 4242 is lost", "CARD", "4242 4242 4242 4242"),
        ("voucher 4230 4242 4242 4242 4242 is lost", "CARD", "4242 4242 4242 4242"),
        ("4242 4242 4242 4242 1227 is my card", "CARD", "4242 4242 4242 4242"),
        ("カード5555-5555-5555-4444です", "CARD", "5555-5555-5555-4444"),
        ("amex 378282246310005", "CARD", "378282246310005"),
        ("to DE89 3704 0044 0532 0130 00 from me", "IBAN", "DE89 3704 0044 0532 0130 00"),
        ("to BE71096123456769 FROM ME TODAY", "IBAN", "BE71096123456769"),
        ("to gb82west12345698765432 today", "IBAN", "gb82west12345698765432"),
        ("blocked for 203.0.113.7 again", "IP", "203.0.113.7"),
        ("blocked for 2001:db8::7f:1 again", "IP", "2001:db8::7f:1"),
        ("to ana@example.com\u200b, please", "EMAIL", "ana@example.com"),
        ("an ana@\u200bexam\u00adple.com", "EMAIL", "ana@\u200bexam\u00adple.com"),
        ("ａｎａ＠ｅｘａｍｐｌｅ．ｃｏｍ", "EMAIL", "ａｎａ＠ｅｘａｍｐｌｅ．ｃｏｍ"),
        ("пишите: анна@почта.рф", "EMAIL", "анна@почта.рф"),
        ("_ana@example.com_", "EMAIL", "_ana@example.com"),
        ("mailto:ana%40example.com", "EMAIL", "ana%40example.com"),
        ("ana [at] example [dot] org", "EMAIL", "ana [at] example [dot] org"),
        ("my order (415) 555-2671 you can call", "PHONE", "(415) 555-2671"),
        ("電話 ０３－５５５０－４０３１", "PHONE", "０３－５５５０－４０３１"),
        ("هاتف +٩٦٦ ٥٠ ١٢٣ ٤٥٦٧", "PHONE", "+٩٦٦ ٥٠ ١٢٣ ٤٥٦٧"),
        ("+33\u202f6\u202f12\u202f34\u202f56\u202f78", "PHONE", "+33\u202f6\u202f12\u202f34\u202f56\u202f78"),
        ("+49\u200b30\u221223125194", "PHONE", "+49\u200b30\u221223125194"),
        ("4242\u00a04242\u20114242\u20134242", "CARD", "4242\u00a04242\u20114242\u20134242"),
        ("4242.4242.4242.4242", "CARD", "4242.4242.4242.4242"),
        ("4242_4242_4242_4242", "CARD", "4242_4242_4242_4242"),
        ("4242 - 4242 - 4242 - 4242", "CARD", "4242 - 4242 - 4242 - 4242"),
        ("٤٢٤٢ ٤٢٤٢ ٤٢٤٢ ٤٢٤٢", "CARD", "٤٢٤٢ ٤٢٤٢ ٤٢٤٢ ٤٢٤٢"),
        ("6212 3456 7890 1234 569", "CARD", "6212 3456 7890 1234 569"),
        ("DE89\u00a03704  0044.0532 0130 00", "IBAN", "DE89\u00a03704  0044.0532 0130 00"),
        ("to OM81 0180 0000 0129 9123 456 now", "IBAN", "OM81 0180 0000 0129 9123 456"),
        ("RU0204452560040702810412345678901", "IBAN", "RU0204452560040702810412345678901"),
    ],
)
def test_values_are_found_with_exact_spans(text: str, kind: str, value: str) -> None:
    assert found(text) == [(kind, value)]


def test_a_phone_number_ends_where_another_value_begins() -> None:
    phone, card = ("PHONE", "+49 30 23125194"), ("CARD", "4242 4242 4242 4242")
    assert found(f"{phone[1]} {card[1]}") == [phone, card]


@pytest.mark.parametrize(
    "text, name",
    [
        ("Hello, my name is Ana Li and I need help", "Ana Li"),
        ("Hi, Jean-Luc O'Brien here. It broke", "Jean-Luc O'Brien"),
        ("Call the desk and ask for Ana van der Berg.", "Ana van der Berg"),
        ("It broke.\n\nThanks,\nAna", "Ana"),
        ("Es ist kaputt.\n\nMit freundlichen Grüßen\nJürgen Groß", "Jürgen Groß"),
        ("It broke\n--\nAna Li\nOslo", "Ana Li"),
        ("Customer name: Ana Li\nOrder: 12", "Ana Li"),
        ('{"contact_name": "Ana Li", "city": "Oslo"}', "Ana Li"),
        ("my last name is Li", "Li"),
        ("It broke.\r\n\r\nKind regards,  \r\nAna Li\r\n", "Ana Li"),
        ("Best regards,\nDr. Ana Li", "Ana Li"),
        ("Thanks,\nA. Li", "A. Li"),
        ("My name is Dr. Ana Li", "Ana Li"),
        ("Hello, this is Prof. Dr. Ana Li", "Ana Li"),
        ("Patient name: Mrs Ana Li", "Ana Li"),
        ("--\nDr. Ana Li", "Ana Li"),
        ("My name is Jose\u0301 A\u0301lvarez", "Jose\u0301 A\u0301lvarez"),
        ("Ticket of Mr. Li", "Li"),
        ("La signora Rossi ha chiamato", "Rossi"),
        ("El Sr. García quiere hablar", "García"),
        ("My name: Ana Li", "Ana Li"),
        ("Hola Sra. García Márquez, gracias", "García Márquez"),
        ("Estimado Sr. Li:", "Li"),
        ("Приветствую, Анна Сергеевна! Заказ прибыл", "Анна Сергеевна"),
        ("Звонил Сидоров Иван Петрович насчёт заказа", "Сидоров Иван Петрович"),
        ("Заказ, Иван Петрович Сидоров", "Иван Петрович Сидоров"),
        ("Передайте Анне Сергеевне Ковальской, что он готов", "Анне Сергеевне Ковальской"),
        ("Gentile Sig.ra Li, buongiorno", "Li"),
        ("I am called Ana Li", "Ana Li"),
        ("名前はジョン・スミスです", "ジョン・スミス"),
        ("저는 김민수라고 합니다", "김민수"),
        ("Dear Prof. Dr. Li, it broke", "Li"),
        ("It broke. I'm Ana Li from Oslo", "Ana Li"),
        ("my name is ana li and it broke", "ana li"),
        ("MY NAME IS ANA LI", "ANA LI"),
        ("Kind regards\n\nAna Li, MSc", "Ana Li"),
        ("Thanks!\n- Ana Li", "Ana Li"),
        ('{"first_name": "Ana", "city": "Oslo"}', "Ana"),
        ("Apellidos: García López", "García López"),
        ("Name: Ana Li\nOrder: 5\nE-mail: none", "Ana Li"),
        ("私の名前は田中太郎です。", "田中太郎"),
        ("田中と申します", "田中"),
        ("我叫王小明，请帮忙", "王小明"),
        ("제 이름은 김민수입니다", "김민수"),
        ("اسمي محمد علي", "محمد علي"),
        ("שמי דוד כהן", "דוד כהן"),
        ("मेरा नाम राहुल शर्मा है", "राहुल शर्मा"),
        ("ผมชื่อสมชายครับ", "สมชาย"),
        ("ดิฉันชื่อ สมหญิง ใจดี ค่ะ", "สมหญิง ใจดี"),
        ("お名前: 山田花子", "山田花子"),
        *(
            (f"{words} Ana Li", "Ana Li")
            for words in (
                "Mein Name ist|Ich heiße|Je m'appelle|Mon nom est|Mi nombre es|Me llamo|Mi chiamo|Meu nome é|Me chamo"
                "|Mijn naam is|Jag heter|Jeg hedder|Nimeni on|Mă numesc|Nazywam się|Mam na imię|Jmenuji se|Volám sa"
                "|Zovem se|Меня зовут|Мене звати|Казвам се|Benim adım|Με λένε|Tên tôi là|Tôi tên là"
                "|Ik heet|Adım|Mitt namn är|Mit navn er|Em dic|A nevem"
            ).split("|")
        ),
    ],
)
def test_names_are_recognised_by_context(text: str, name: str) -> None:
    assert found(text) == [("PERSON", name)]


@pytest.mark.parametrize(
    "text",
    [
        "on 2026-11-23 at 10:30 and on 23.11.2026",
        "My name is Dr. <PERSON_1>",
        "order number 2345678901 from 2026-11-23",
        "call about order 2345678901",
        "invoice 4929 1234 5678 9012 of ours",  # fails Luhn
        "it cost $1,234,567.89 and 20000000 yen",
        "item 1234567890123456 and 0000 0000 0000 0000",
        "DE89 3704 0044 0532 0130 01",  # wrong check digits
        "release v1.2.3.4 on 127.0.0.1, std::vector<int> a::b, at 10:20:30:40",
        "user@localhost and @ana and a @ b",
        "meet us (at) noon. Bring tea",
        "Hi, Customer Support here. Ask for Apple Pay.",
        "Best,\nSupport Team",
        "We hire a Sr. Software Engineer, Sig. nature",
        "Coming Soon is the name of the film; my name is on it",
        "chapters 12 34 56 78 90",
        "the icon logo@2x.png and npm install @a/core@17.0.1",
        "my name is spelled wrong, MY NAME IS NOT ON IT",
        "my name is displayed, Ich heiße Sie willkommen",
        "Name: Blue Chair\nPrice: 5",
        "I am Customer Support. Sr. Engineer, a DR site and MS Word",
        "我叫外卖，再等",
        *("名前は何ですか", "名前は必須です", "氏名は未入力です", "氏名を入力", "注文番号と申します"),
        *("이름은 무엇입니까", "이름은 필수입니다"),
        *("ชื่อสินค้าไม่ถูกต้อง", "ชื่อผู้ใช้ของฉันคืออะไร", "ฉันชื่ออะไร"),
        *("اسمي غير صحيح", "שמי לא מופיע", "मेरा नाम गलत है", "मेरा नाम क्या है"),
        *("我是江苏人", "我是常客"),
        "Thanks,\nPlease call, today",
        "part 123-456-789, 12345678 and order 44051401359 of 2026-11-23",
        "part no 078-05-11205, Artikelnummer: 030 901820 in stock",
        "PESEL: 44051401358 and SSN 000-12-3456",  # wrong check digit, never assigned
    ],
)
def test_lookalikes_are_not_recognised(text: str) -> None:
    assert found(text) == []


@pytest.mark.parametrize(
    "texts",
    [
        ("+1 (202) 555-0143", "+12025550143", "call 202-555-0143", "001 202 555 0143"),
        ("4242 4242 4242 4242", "4242424242424242", "4242-4242-4242-4242"),
        ("DE89370400440532013000", "de89 3704 0044 0532 0130 00"),
        ("Ana@Example.com", "ana@example.com", "ana\u200b@example.com"),
        ("My name is Jose\u0301 Li", "my name is Jos\u00e9 Li"),
    ],
)
def test_spellings_of_one_value_have_the_same_key(texts: tuple[str, ...]) -> None:
    assert len({span.key for text in texts for span in find(text)}) == 1
    assert all(len(find(text)) == 1 for text in texts)


@pytest.mark.parametrize(
    "run",
    [
        "a-",
        "a@",
        "Ana Li ",
        ":a",
        "1.",
        "thanks\n",
        "DE89 ",
        "a@b.de ",
        "Dr ",
        "A. ",
        "Ana",
        "my name is ",
        "Name: Ana\n",
        "我叫",
        "用@",
    ],
)
def test_recognition_takes_linear_time(run: str) -> None:
    assert_linear(lambda runs: partial(find, "Dear " + run * runs + "@"), 32_000 // len(run))


def test_a_long_domain_in_another_script_takes_linear_time() -> None:
    assert_linear(lambda labels: partial(find, "か@" + "か." * labels), 48_000)


def test_a_text_with_too_many_number_candidates_is_refused() -> None:
    with pytest.raises(TooManyValues):
        find("call 202 555 0143, " * 1_000, most_phones=20)
