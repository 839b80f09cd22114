"""Abbreviations, and German, French, Spanish, Italian, Portuguese and Dutch words in names of fields, in English."""

import unicodedata
from functools import lru_cache

from pipeline.ingest.consent_names import snake

_ENGLISH = {
    "question": "frage pregunta domanda pergunta vraag",
    "prompt": "aufforderung invite",
    "query": "anfrage requete consulta solicitud peticion richiesta solicitacao aanvraag",
    "input": "eingabe entree entrada invoer nutzereingabe benutzereingabe",
    "message": "nachricht mensaje messaggio mensagem bericht",
    "answer": "antwort reponse respuesta risposta resposta antwoord antworttext",
    "output": "ausgabe sortie salida uscita saida uitvoer",
    "time": "zeit zeitpunkt uhrzeit heure hora ora tijd tijdstip",
    "timestamp": "zeitstempel horodatage tijdstempel",
    "date": "datum fecha",
    "created_at": "erstellt cree creee creado criado aangemaakt",
    "model": "modell modele modelo modello modellname",
    "cost": "kosten cout coute coste costo custo",
    "price": "preis prix precio prezzo preco prijs",
    "duration": "dauer laufzeit duree duracion durata duracao duur",
    "latency": "latenz antwortzeit latence latencia latenza",
    "seconds": "sekunden secondes segundos secondi seconden",
    "ms": "millisekunden millisecondes milisegundos millisecondi milliseconden",
    "user": "nutzer benutzer anwender utilisateur usuario utente gebruiker",
    "user_id": "nutzerid benutzerid",
    "customer": "kunde kunden client cliente klant",
    "customer_id": "kundennummer kundenid",
    "tenant": "mandant locataire inquilino",
    "session": "sitzung sesion sessione sessao sessie",
    "conversation": "gesprach gespraech unterhaltung conversacion conversazione conversa gesprek",
    "error": "fehler erreur errore erro fout fehlermeldung",
    "provider": "anbieter fournisseur proveedor fornitore fornecedor aanbieder",
    "id": "kennung nummer identifiant identificador identificativo kenmerk",
    "language": "sprache langue idioma lingua taal",
    "plan": "tarif forfait abonnement",
    "feature": "funktion fonction funcion funzione funcao functie",
    "history": "verlauf historique historial cronologia historico geschiedenis",
    "tokens": "jetons tok toks",
    "system": "sys systeme sistema systeem",
    "count": "anzahl nombre numero aantal",
    "": "de du des la le el der die das von del della da do van",
}
_OTHERS = {word: english for english, words in _ENGLISH.items() for word in words.split()}


@lru_cache(maxsize=4096)
def in_english(name: str) -> str:
    """The name with words of other languages in English, without accents; a name without any is unchanged."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c))
    words = snake(plain).split("_")
    if not any(_OTHERS.get(word) for word in words):
        return name
    return "_".join(filter(None, (_OTHERS.get(word, word) for word in words)))
