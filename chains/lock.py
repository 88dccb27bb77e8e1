"""What holds a conversation to its model: a running tool loop, and words that only say to go on."""

from __future__ import annotations

import re
from dataclasses import dataclass

from chains.decision import Wish
from chains.turn import Turn
from config.schema import Mode, Role

LONGEST_FOLLOW_UP_CHARS = 60
_GO_ON = """
continue|go on|go ahead|carry on|keep going|proceed|resume|next|next step|next one|more|again|try again|retry
yes|yep|yeah|yup|y|ok|okay|k|sure|right|correct|exactly|fine|great|good|perfect|nice|agreed|approved|lgtm|do it|do that
make it so|go|let s go|lets go|sounds good|looks good|please do|yes please|thanks|thank you|no|nope|n|stop|wait|done
weiter|mach weiter|ja|jo|jawohl|genau|gut|in ordnung|nächster schritt|bitte|danke|nein
continuer|continuez|vas y|allez y|oui|d accord|suivant|merci|non
continúa|continua|sigue|adelante|sí|si|vale|de acuerdo|siguiente|gracias
continue por favor|sim|pode continuar|próximo|obrigado|avanti|prosegui|vai avanti|va bene|prossimo|grazie
ga door|verder|doorgaan|volgende|dalej|kontynuuj|tak|dobrze|następny|fortsätt|fortsett|fortsæt|nästa|neste|næste
продолжай|продолжи|продолжайте|дальше|да|хорошо|следующий|спасибо|devam|devam et|evet|tamam|sonraki
続けて|続けてください|続き|はい|次|次へ|お願いします|继续|继续吧|请继续|是|是的|好|好的|对|可以|下一步|下一个|繼續|請繼續
계속|계속해|계속해줘|계속하세요|네|예|다음|좋아|जारी रखें|हाँ|ठीक है|نعم|استمر|تابع|أكمل|tiếp tục|vâng|lanjut|lanjutkan|ya
"""
_FILLERS = frozenset({"please", "now", "then", "bitte", "por", "favor", "svp", "stp"})
_BETWEEN = re.compile(r"[\W_]+")


def _words(text: str) -> list[str]:
    return [word for word in _BETWEEN.split(text.casefold()) if word]


_MOST_WORDS = 4
FOLLOW_UPS = frozenset(" ".join(_words(phrase)) for phrase in re.split(r"[|\n]", _GO_ON) if phrase.strip())


@dataclass(frozen=True, slots=True)
class Held:
    """What a conversation's record says of its last request."""

    role: Role
    model: str
    mode: Mode = "none"
    prompt_tokens: int = 0


def is_follow_up(words: str) -> bool:
    """Whether a whole message only tells to go on, in one of a dozen languages."""
    if not words or len(words) > LONGEST_FOLLOW_UP_CHARS:
        return False
    found = _words(words)
    if not found:
        return bool(words.strip())  # a thumb up, three dots
    place = 0
    while place < len(found):
        taken = next((n for n in range(_MOST_WORDS, 0, -1) if " ".join(found[place : place + n]) in FOLLOW_UPS), 0)
        if not taken and found[place] not in _FILLERS:
            return False
        place += taken or 1
    return True


def wish_of_lock(turn: Turn, held: Held | None) -> Wish | None:
    """The conversation's role while a tool loop runs."""
    if held is None or not turn.from_machine:
        return None
    return Wish(held.role, "a tool loop runs: the conversation's model stays", "lock")


def wish_of_follow_up(turn: Turn, held: Held | None) -> Wish | None:
    """The conversation's role where the person only says to go on; the coding role where that approves a plan."""
    if held is None or not is_follow_up(turn.person_text):
        return None
    if held.mode == "plan" and turn.mode in {"act", "yolo"}:
        return Wish("implementation", "the person left plan mode and says to go on", "follow_up")
    return Wish(held.role, "the person says to go on: the conversation's role stays", "follow_up")
