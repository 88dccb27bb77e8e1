"""Whether a person asks for the memory bank itself, to be read or kept up, and not for something that is in it."""

from __future__ import annotations

import re

ASKED_CHARS = 400

_BANK = (
    r"(?:memory[ _-]?banks?|m[ée]moire du projet|banque de m[ée]moire|banco de mem[oó]ria|banca (?:della )?memoria"
    r"|банк[аеу]? памяти|メモリ[ー・ ]?バンク|记忆库|記憶庫|记忆银行|메모리 ?뱅크|haf[ıi]za bankas[ıi]|bank pami[ęe]ci)"
)
_VERB = (
    r"(?:\b(?:re-?read|read|load|open|check|consult|review|follow|initiali[sz]e|init|set ?up|create|update|sync"
    r"|synchroni[sz]e|refresh|audit|prune|tidy|clean|reorgani[sz]e|restructure|rewrite|lies|lade|lese|pr[üu]fe?|aktualisier\w*"
    r"|initialisier\w*"
    r"|lis|lire|lisez|charge\w*|consulte\w*|mets|mettre|initialise\w*|lee|leer|carga\w*|revisa\w*|actualiza\w*|inicializa\w*"
    r"|leia|ler|carregue|atualiz\w*|leggi|leggere|carica|aggiorna\w*|inizializza\w*|прочита\w*|прочти|загрузи\w*|проверь"
    r"|обнови\w*|инициализируй|oku\w*|y[üu]kle|g[üu]ncelle\w*|przeczytaj|wczytaj|zaktualizuj|lees|laad|werk)\b"
    r"|読|更新|確認|初期化|读|讀|查看|加载|初始化|읽|갱신|업데이트|초기화)"
)
_ASKS = (
    re.compile(rf"{_VERB}.{{0,40}}{_BANK}", re.IGNORECASE),
    re.compile(rf"{_BANK}.{{0,20}}{_VERB}", re.IGNORECASE),
    re.compile(r"\bfollow (?:your|the|my) custom instructions\b", re.IGNORECASE),
    re.compile(r"\A\W*umb\b", re.IGNORECASE),
)
_ABOUT = (
    re.compile(
        r"\A\W*(?:what|where|which|why|how|who|when|do|does|did|is|are|was|were|has|have|can|should|was|wie|wo|warum|wer"
        r"|que|quoi|o[ùu]|pourquoi|comment|qu[ée]|d[óo]nde|c[óo]mo|por ?qu[eê]|onde|cosa|dove|perch[ée]"
        r"|что|где|почему|как)\b",
        re.IGNORECASE,
    ),
    re.compile(
        rf"{_BANK}\W{{0,3}}(?:about|says?|mentions?|for|to (?:find|see)|[üu]ber|nach|sobre|sur|pour|o|на предмет)\b",
        re.IGNORECASE,
    ),
    re.compile(r"について|关于|關於|에 대해"),
)


def asks_for_bank(question: str) -> bool:
    """True for "read the memory bank", "update memory bank" and the like, in a dozen languages.

    Looks at the first 400 characters. A question about something in the bank is none of these: "what does the memory
    bank say about retries".
    """
    text = question[:ASKED_CHARS]
    return any(asks.search(text) for asks in _ASKS) and not any(about.search(text) for about in _ABOUT)
