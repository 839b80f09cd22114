"""Wordings of hard requests, and similar ones of easy requests."""

import pytest

from tests.fakes.chat_requests import type_of


@pytest.mark.parametrize(
    "system, kind",
    [
        ("Write a ClickHouse query that the dashboard can run.", "code"),
        ("Produce one BigQuery statement, nothing around it.", "code"),
        ("Work out when the guarantee ends. Only the date.", "reasoning"),
        ("Analyse the tender results and recommend how to go on.", "reasoning"),
        ("Answer the question about the table. Name all assumptions.", "reasoning"),
        ("Weigh all criteria of the call, then reply with shortlist, reserve or decline.", "reasoning"),
        ("Weigh the circumstances. Answer with exactly one label: warn, fine.", "reasoning"),
        ("Write the script that draws the chart. Python. Code only.", "code"),
        ("Harbour code board. Answer with working code and little else.", "code"),
        ("Helper for the berth tables. Return code that leaves the total in `result`.", "code"),
        ("Convert the Jenkins file to a workflow of the new build server, stage by stage.", "code"),
        ("Port this class component to a function component with hooks.", "code"),
        ("Migrate the compose file into one Kubernetes manifest.", "code"),
        ("Rewrite the steps of the runbook as a bash script.", "code"),
        ("Give the category, then the reasoning. One of A, B, C.", "reasoning"),
        ("Score the call from 1 to 10 against the rubric.", "reasoning"),
        ("Act as an impartial judge of the two summaries below. Write who wins.", "reasoning"),
        ("Test all rival hypotheses on the log of the outage.", "reasoning"),
        ("Is it hearsay? Reason in short numbered steps, then yes or no.", "reasoning"),
        ("Does the claim follow from the numbers? Reply true or false.", "reasoning"),
        ("Work it out exactly, then print RIGHT or WRONG.", "reasoning"),
        ("Answer key for the mock exam. Output the letter only.", "reasoning"),
        ("You get a wish, you write the bash that fulfils it.", "code"),
        ("Solve the cryptic clue, one word in lower case.", "reasoning"),
        ("Lay out the facts, then conclude with yes or no.", "reasoning"),
        ("Scrivi soltanto la lettera della risposta corretta.", "reasoning"),
        ("Elige la opción correcta y responde solo con la letra.", "reasoning"),
        ("Devuelve la letra de la opción correcta, nada más.", "reasoning"),
        ("Wähle die richtige Antwort, nur den Buchstaben.", "reasoning"),
        ("请写出正确答案的字母。", "reasoning"),
        ("Decide which of the two headings fits better. Return a or b.", "reasoning"),
        ("Settle the dispute. Answer with one word: refund, reject.", "reasoning"),
        ("Answer as best you can. You have access to the following tools:\nberth(ship) - where it lies", "reasoning"),
    ],
)
def test_judgement_requested_reasoning_code_and_queries_are_hard(system: str, kind: str) -> None:
    assert type_of(system, "Field 7, see the attached note.") == kind


@pytest.mark.parametrize(
    "system",
    [
        "Write an invitation to the company's work out in the park.",
        "Use only the articles. To return a part, print the label and hand the parcel in. Answer in two sentences.",
        "Which workout does the member ask for? Answer with exactly one label: legs, arms.",
        "Extract weight, height and requirements as JSON.",
        "Draft a note to the port about the missing manifest.",
        "Translate the script of the safety video into German.",
        "Rewrite the radio script in a friendlier tone.",
        "Convert the notes on the berth workflow into bullet points.",
        "Explain to the crew the return code that the winch shows.",
        "Is the mail about a berth? Return a JSON object with the answer key set to yes or no.",
        "Tag the mail as berth, fuel or other. Return JSON with one answer key.",
        "Draft a reply to the skipper: thank him, then conclude with our opening hours.",
        "Name the team for the mail and conclude with the code of the team: north, south, east.",
        "¿De qué trata el mensaje? A) factura, B) envío, C) otro. Responde solo con la letra de la opción.",
        "Classifique a mensagem: A) fatura, B) entrega, C) outro. Responda apenas com a letra da opção.",
    ],
)
def test_similar_words_are_not_hard(system: str) -> None:
    assert type_of(system, "Field 7, see the attached note.") not in ("reasoning", "code")
