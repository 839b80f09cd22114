"""A health insurer's app: one-line prompts, the model's whole work inside the user's message; Hindi, Indonesian, Vietnamese and English."""

import json
import random

from benchmarks.invented.site import Message, Site, Turn
from benchmarks.invented.texts import CITIES, FIRST, code, day, money, name, pick, prose, sentence, transcript

_HI = {
    "दावा": ("मेरा दावा कब पास होगा", "अस्पताल का बिल भेजा है", "दावा खारिज क्यों हुआ"),
    "प्रीमियम": ("प्रीमियम कितना है", "किस्त कट गई", "भुगतान दो बार हुआ"),
    "कार्ड": ("हेल्थ कार्ड नहीं मिला", "कार्ड खो गया", "नया कार्ड चाहिए"),
}
_ID = {
    "positif": ("petugasnya ramah", "klaim cepat cair", "aplikasinya mudah"),
    "negatif": ("menunggu terlalu lama", "klaim saya ditolak", "aplikasi sering error"),
    "netral": ("saya baru daftar", "kantor pindah", "buka jam delapan"),
}
_VI = {
    "khẩn cấp": ("đau ngực dữ dội", "khó thở", "chảy máu nhiều"),
    "thường": ("xin giấy xác nhận", "đổi địa chỉ", "hỏi giờ làm việc"),
}
_DRUGS = ("warfarin", "ibuprofen", "metformin", "lisinopril", "sertraline", "tramadol", "digoxin", "amiodarone")


def _hi(r: random.Random) -> Turn:
    label = pick(r, tuple(_HI))
    return Turn(f"संदेश: {pick(r, _HI[label])}, {pick(r, FIRST)} {r.randint(10, 999)}\nविषय (दावा/प्रीमियम/कार्ड):", label)


def _idn(r: random.Random) -> Turn:
    label = pick(r, tuple(_ID))
    score = {"positif": 1, "negatif": -1, "netral": 0}[label]
    return Turn(
        f"{pick(r, _ID[label])}, {pick(r, FIRST)}, {pick(r, CITIES)} {r.randint(1, 99)}",
        json.dumps({"nada": label, "skor": score}),
    )


def _vi(r: random.Random) -> Turn:
    label = pick(r, tuple(_VI))
    return Turn(f"Khách {name(r)}: {pick(r, _VI[label])} {r.randint(1, 99)}", label)


def _policy(r: random.Random) -> Turn:
    number, since, who = code(r, 3, 7), day(r), name(r)
    text = f"Polis {number} atas nama {who} berlaku sejak {since}. {sentence(r)}"
    return Turn(f"{text}\n\nnomor, nama, tanggal", f"nomor: {number}\nnama: {who}\ntanggal: {since}")


def _codes(r: random.Random) -> Turn:
    listed = [f"{pick(r, 'ABCEJKM')}{r.randint(10, 99)}.{r.randint(0, 9)}" for _ in range(r.randint(1, 3))]
    return Turn(
        f"{sentence(r)} Dx {listed[0]}, {sentence(r)} also {' and '.join(listed[1:]) or 'nothing else'}; seen {day(r)}",
        json.dumps(listed),
    )


def _language(r: random.Random) -> Turn:
    lang, text = pick(
        r,
        (
            ("hi", pick(r, _HI["दावा"])),
            ("id", pick(r, _ID["negatif"])),
            ("vi", pick(r, _VI["thường"])),
            ("en", sentence(r)),
        ),
    )
    return Turn(f"{text} {pick(r, FIRST)} {r.randint(1, 999)}", lang)


def _mask(r: random.Random) -> Turn:
    who, phone = name(r), f"+91 {r.randint(7000000000, 9999999999)}"
    tail = sentence(r)
    return Turn(
        f"{who} called from {phone} about claim {code(r)}. {tail}",
        f"[NAME] called from [PHONE] about claim [ID]. {tail}",
    )


def _sms(r: random.Random) -> Turn:
    when, city = day(r), pick(r, CITIES)
    return Turn(
        f"Kindly be informed that your appointment with our doctor in {city} has been confirmed for {when} and that you are requested to bring card {code(r)}.",
        f"Your appointment in {city} is confirmed for {when}. Please bring your card.",
    )


def _fraud(r: random.Random) -> Turn:
    bad = r.random() < 0.1
    return Turn(
        f"{pick(r, ('send the OTP to win', 'pay to this link')) if bad else pick(r, ('please call back', 'bill attached'))} {pick(r, FIRST)} {r.randint(1, 999)}",
        "1" if bad else "0",
    )


def _dose(r: random.Random) -> Turn:
    a, b = r.sample(_DRUGS, 2)
    return Turn(
        f"{a} {r.randint(1, 9) * 5} mg with {b} {r.randint(1, 9) * 10} mg, {r.randint(30, 90)} y, {r.randint(45, 110)} kg, creatinine {r.randint(6, 30) / 10}",
        pick(r, ("safe", "adjust", "avoid")),
    )


def _payable(r: random.Random) -> Turn:
    return Turn(
        f"Bill {money(r, 20000, 200000)}, room {r.randint(3, 9)} days at {r.randint(2, 9)}000 where {r.randint(2, 6)}000 is covered, co-pay {r.randint(5, 30)}%, deductible {r.randint(1, 9)}000, sum insured used {r.randint(0, 90)}%",
        money(r, 5000, 150000),
    )


def _exclusion(r: random.Random) -> Turn:
    return Turn(
        f"Policy began {day(r)}. Waiting period two years for hernia unless caused by an accident; the member lifted a bed while {sentence(r).lower()} First visit {day(r)}. {sentence(r)}",
        json.dumps({"covered": pick(r, (True, False))}),
    )


def _triage(r: random.Random) -> Turn:
    return Turn(
        f"{r.randint(20, 90)} y, {pick(r, ('m', 'f'))}, BP {r.randint(80, 190)}/{r.randint(50, 110)}, pulse {r.randint(50, 140)}, SpO2 {r.randint(84, 99)}, {pick(r, ('fever', 'confused', 'rash', 'chest tightness'))}, {r.randint(1, 9)} days, takes {pick(r, _DRUGS)}",
        pick(r, ("sepsis", "embolism", "anxiety", "pneumonia", "heart failure")),
    )


def _reply(r: random.Random) -> Turn:
    return Turn(
        f"Balas keluhan {name(r)} tentang {pick(r, ('klaim', 'kartu'))} nomor {code(r)}",
        f"Bapak/Ibu yang terhormat, {prose(r, 5)}",
    )


def _summary(r: random.Random) -> Turn:
    return Turn(f"{transcript(r, 28)}\n\nसारांश:", prose(r, 2))


def _benefits(r: random.Random) -> Turn:
    return Turn(
        f"Handbook:\n{prose(r, 9)}\n\nMember: {pick(r, ('is physio covered', 'how do I add a child'))}?", prose(r, 2)
    )


def _chat(r: random.Random) -> Turn:
    turns: list[Message] = []
    for _ in range(r.randint(1, 4)):
        turns += [{"role": "user", "content": sentence(r)}, {"role": "assistant", "content": prose(r, 3)}]
    return Turn(
        [
            *turns,
            {
                "role": "user",
                "content": f"and what about {pick(r, ('my mother', 'next year', 'travel'))}? {sentence(r)}",
            },
        ],
        prose(r, 8),
    )


def _script(r: random.Random) -> Turn:
    return Turn(
        f"macro that colours claims older than {r.randint(10, 90)} days in column {pick(r, 'BCDE')}",
        f'Sub ColourOld()\n  Dim c As Range\n  For Each c In Range("{pick(r, "BCDE")}2:{pick(r, "BCDE")}999")\n    If Date - c.Value > {r.randint(10, 90)} Then c.Interior.Color = vbRed\n  Next c\nEnd Sub',
    )


def _audit(r: random.Random) -> Turn:
    return Turn(f"{prose(r, 260)}", f"Findings: {prose(r, 9)}")


SITES = (
    Site("app.vishay", 1, "intent", _hi, weight=4),
    Site("ulasan.nada", 1, "classification", _idn, "nada ulasan", 3, response_format={"type": "json_object"}),
    Site("hotline.muc", 1, "classification", _vi, "khẩn cấp hay thường", 2.5, params={"max_tokens": 8}),
    Site("polis.baca", 1, "extraction", _policy, weight=3),
    Site("notes.icd", 1, "extraction", _codes, "icd codes, array", 2.5),
    Site("inbox.lang", 1, "classification", _language, "iso code", 2, params={"max_tokens": 3}),
    Site("log.mask", 1, "rewrite", _mask, "mask personal data, leave the rest", 1.5),
    Site("sms.short", 1, "rewrite", _sms, "fit an sms", 1.5),
    Site("inbox.fraud", 1, "moderation", _fraud, "1 = phishing, 0 = not", 2),
    Site("rx.check", 3, "reasoning", _dose, "pharmacist. safe, adjust or avoid", 1),
    Site("claim.amount", 3, "reasoning", _payable, "payable, number", 1),
    Site("claim.covered", 3, "reasoning", _exclusion, "adjudicate", 0.8, response_format={"type": "json_object"}),
    Site("nurse.likely", 3, "reasoning", _triage, "most likely", 0.7),
    Site("keluhan.balas", 2, "generation", _reply, weight=1.5),
    Site("call.saransh", 2, "summarization", _summary, weight=1.5),
    Site("member.ask", 2, "generation", _benefits, "benefits desk", 1.5),
    Site("coach.chat", 3, "chat", _chat, "health coach", 1),
    Site("office.macro", 3, "code", _script, "excel help", 0.7),
    Site("audit.file", 3, "long_context", _audit, "auditor: findings", 0.4),
)  # fmt: skip
