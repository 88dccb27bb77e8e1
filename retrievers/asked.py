"""Whether a person asks for the memory bank itself, to be read or kept up, and not for something that is in it."""

from __future__ import annotations

import re

ASKED_CHARS = 400

# What a name of code goes on with, so that it is no bank: `MemoryBankReader`, `memory_bank/index.py`, `memory_bank.py`.
_NO_NAME = r"(?-i:(?![A-Za-z0-9_]|/\w|\.[A-Za-z]))"
# What is made of code, so that it is worked on and not the bank.
_NO_CODE = (
    r"(?![ _-](?:parser|reader|writer|loader|finder|retriever|retrieval|discovery|detection|lookup|index(?:er|ing)?"
    r"|cache|class(?:es)?|module|package|code|function|method|service|api|endpoint|route|handler|tests?|specs?|fixtures?"
    r"|schema|model|tables?|rows?|columns?|component|screen|page|view|button|ui|widget|plugin|extension|paths?"
    r"|config(?:uration)?|settings?|feature|support|integration|bug|errors?|exceptions?)\b)"
)
_BANK = (
    rf"(?:(?<![A-Za-z0-9_])memory[ _-]?banks?{_NO_NAME}{_NO_CODE}"
    r"|m[ée]moire du projet|banque de m[ée]moire|banco de mem[oó]ria|banca (?:della )?memoria"
    r"|банк[аеу]? памяти|メモリ[ー・ ]?バンク|记忆库|記憶庫|记忆银行|메모리 ?뱅크|haf[ıi]za bankas[ıi]|bank pami[ęe]ci)"
)
_VERB = (
    r"(?:\b(?:re-?read|read|load|open|check|consult|review|follow|initiali[sz]e|init|set ?up|create|update|sync"
    r"|synchroni[sz]e|refresh|audit|prune|tidy|clean|reorgani[sz]e|restructure|rewrite|lies|lade|lese|pr[üu]fe?|aktualisier\w*"
    r"|initialisier\w*"
    r"|lis|lire|lisez|charge\w*|consulte\w*|mets|mettre|initialise\w*|lee|leer|carga\w*|revisa\w*|actualiza\w*|inicializa\w*"
    r"|leia|ler|carregue|atualiz\w*|leggi|leggere|carica|aggiorna\w*|inizializza\w*|прочита\w*|прочти|загрузи\w*|проверь"
    r"|обнови\w*|инициализируй|oku\w*|y[üu]kle|g[üu]ncelle\w*|przeczytaj|wczytaj|zaktualizuj|lees|laad|werk)\b(?![(-])"
    r"(?! (?:that|if|whether|how|why|when|where)\b)"
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
        r"\A\W*(?:what|where|which|why|how|who|does|did|is|are|was|were|has|have|was|wie|wo|warum|wer"
        # "Can you read it?" and "do read it" ask for the bank, and so does "when you are done, update it".
        r"|(?:do|can|could|should|would|will) (?:i|we|they|it|he|she|this|that|these|those|there|the|an?|any|all|our|my"
        r"|memory)"
        r"|when (?:do|does|did|is|are|was|were|has|have|had|can|should|will|would)"
        r"|que|quoi|o[ùu]|pourquoi|comment|qu[ée]|d[óo]nde|c[óo]mo|por ?qu[eê]|onde|cosa|dove|perch[ée]"
        r"|что|где|почему|как)\b",
        re.IGNORECASE,
    ),
    re.compile(
        rf"{_BANK}\W{{0,3}}(?:about|says?|mentions?|[üu]ber|nach|sobre|sur|pour|o|на предмет)\b",
        re.IGNORECASE,
    ),
    re.compile(
        rf"\b(?:check|look|search|scan|consult|query|grep)\b.{{0,40}}{_BANK}\W{{0,3}}(?:for|to (?:find|see))\b",
        re.IGNORECASE,
    ),
    re.compile(r"について|关于|關於|에 대해"),
)
_NOT = (
    re.compile(
        r"\b(?:don['’]?t|(?:do|must|should|need) not|(?:mustn|shouldn|needn)['’]?t|never|without|no need to|not to"
        rf"|ne|n['’]|no|n[ãa]o|non|не|nie|niet)(?: (?:ever|even|bother to|need to))? ?{_VERB}",
        re.IGNORECASE,
    ),
    re.compile(rf"{_BANK}\W{{1,3}}nicht\b", re.IGNORECASE),
)
_SENTENCE_END = re.compile(r"(?<=[.!?]) |(?<=[。！？])")


def asks_for_bank(question: str) -> bool:
    """True for "read the memory bank", "update memory bank" and the like, in a dozen languages.

    Looks at the first 400 characters, sentence by sentence. A question about something in the bank is none of these
    ("what does the memory bank say about retries"), nor is work on code that has to do with memory banks.
    """
    text = " ".join(question[:ASKED_CHARS].split())
    return any(_asks(sentence) for sentence in _SENTENCE_END.split(text))


def _asks(sentence: str) -> bool:
    if not any(asks.search(sentence) for asks in _ASKS):
        return False
    return not any(unlike.search(sentence) for unlike in (*_ABOUT, *_NOT))
