"""What a request speaks of, in words of many languages: lets rare languages share what was learned from common ones.

A trailing `*` marks the beginning of a word. Phrases of several words are matched whole. Languages written without
spaces are matched anywhere in a run of letters.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

_PHRASES: Mapping[str, str] = {
    "advice": """
        should we, should i, is it worth, worth it, does it make sense, make sense, would it be better, better to,
        recommend*, sollten wir, sollen wir, sollte man, lohnt*, ist es sinnvoll, sinnvoll*, macht es sinn,
        empfiehl*, empfehl*, faut il, devrions*, devrait on, vaut il, vaut mieux, recommand*, conseill*, avis,
        deberíamos, debemos, deberia*, conviene, merece, vale la pena, recomiend*, recomend*, devemos, deveríamos,
        devíamos, compensa, vale a pena, dovremmo, ha senso, consigli*, moeten we, zouden we, is het slim, raad*,
        czy powinniśmy, warto, opłaca*, polec*, powinniśmy, стоит, следует, нужно ли, имеет смысл, посовету*,
        чи варто, варто, gerekir mi, mantıklı*, değer mi, öner*, měli bychom, má smysl, vyplatí, borde vi, ska vi,
        lönar, nên, có nên, sebaiknya, apakah kita perlu, べき, ほうがいい, 方がいい, 妥当, おすすめ, いいと思う,
        应该, 要不要, 是否应, 值得, 合适, 该不该, 建议, 好不好, 해야 할까, 할까요, 하는 게 나을, 나을까, 좋을까,
        맞을까, 추천, 괜찮을까, هل يجب, هل ينبغي, क्या हमें, चाहिए""",
    "planning": """
        plan*, strateg*, roadmap*, migration*, concept, concepts, konzept*, propose, proposal, estimat*, design*,
        entwirf, entwurf*, entwerf*, schätz*, vorgehen*, konzip*, planifi*, conçoi*, concevoir, conception,
        propos*, estim*, feuille de route, esboz*, diseñ*, planea*, planeja*, planej*, desenh*, projet*, progett*,
        pianific*, proponi*, stima, ontwerp*, zaplanuj*, zaproj*, projekt*, plán*, navrhn*, návrh*, спланир*,
        план, план*, спроектир*, стратег*, оцен*, предлож*, спроєкт*, сплану*, tasarla*, planla*, strateji*,
        planera*, lên kế hoạch, thiết kế, kế hoạch, rancang*, rencana*, buatkan rencana, 計画, 設計, 戦略, 見積,
        ロードマップ, 方針, 案を, 规划, 计划, 设计, 方案, 估算, 策略, 路线图, 계획, 설계, 전략, 로드맵, 추정,
        방안, خطة, صمم, تصميم, योजना, डिज़ाइन""",
    "comparing": """
        compar*, pros and cons, trade offs, tradeoff*, trade off, versus, vs, alternativ*, options, weigh*,
        vergleich*, abwäg*, abwägen, vor und nachteile, vorteile*, nachteile*, optionen, avantages*,
        inconvénients*, compromis, ventajas, desventajas, opciones, pros y contras, vantagens, desvantagens,
        prós e contras, opções, confront*, pro e contro, vantaggi, svantaggi, opzioni, vergelijk*,
        voor en nadelen, afweging*, porówn*, wady, zalety, za i przeciw, сравн*, плюсы, минусы, вариант*,
        компромисс*, порівня*, переваги, karşılaştır*, artıları*, eksileri*, seçenek*, porovn*, výhody, nevýhody,
        jämför*, fördelar*, so sánh, ưu nhược, bandingkan*, kelebihan*, 比較, 比べ, メリット, デメリット, 選択肢,
        トレードオフ, 长短, 对比, 比较, 优缺点, 利弊, 权衡, 取舍, 비교, 장단점, 대안, 트레이드오프, قارن, مقارنة,
        तुलना""",
    "reviewing": """
        review*, audit*, assess*, evaluat*, architect*, structur*, risk, risks, consequenc*, contradict*,
        weakness*, threat*, impact*, bewert*, prüf*, architektur*, risik*, widerspr*, schwach*, auswirk*, évalu*,
        examin*, risque*, faille*, revis*, evalú*, evalu*, arquitect*, riesgo*, contradicc*, avali*, arquitet*,
        risco*, valut*, architett*, risch*, contraddi*, beoordeel*, risico*, oceń*, przejrzyj*, ryzyk*, sprzeczn*,
        архитект*, риск*, провер*, противореч*, оціни*, архітект*, değerlendir*, mimari*, çelişki*, posuď*,
        zhodno*, granska*, bedöm*, đánh giá, kiến trúc, tinjau*, evaluasi*, arsitektur*, 評価, レビュー,
        アーキテクチャ, リスク, 矛盾, 監査, 影響, 洗い出, 评估, 评审, 架构, 风险, 审查, 影响, 隐患, 평가, 검토,
        아키텍처, 위험, 구조, 영향, 모순, مراجعة, تقييم, समीक्षा""",
    "keeping the bank": """
        update memory bank, update the memory bank, umb, initialize memory bank, whole bank,
        memory bank aktualisieren, aktualisiere die memory bank, aktualisier*, bring die memory bank, mets à jour,
        mettre à jour, actualiza*, atualiz*, aggiorn*, werk de memory, bijwerk*, zaktualizuj*, обнов*, онов*,
        güncell*, aktualizuj*, uppdatera*, cập nhật, perbarui*, 更新, アップデート, 최신화, 업데이트, 갱신,
        初期化, 初始化, 整理, 초기화, حدّث, حدث, अपडेट""",
    "looking up": """
        which, who, when, where, already, noted, decided, again, status, open, left, welche*, wer, wann, wo,
        schon, notiert*, entschieden, nochmal, stand, steht*, offen, quel, quelle, quels, qui, quand, où, déjà,
        noté, décidé, état, reste, cuál, qué, quién, cuándo, dónde, ya, decidimos, quedamos, falta, pendiente*,
        qual, quais, quem, quando, onde, já, ficou, chi, dove, già, deciso, resta, rimane, welk, welke, wie,
        wanneer, waar, al, besloten, który*, kto, kiedy, gdzie, już, ustalili*, zostało, какой, какая, какую,
        какие, кто, когда, где, уже, решили, осталось, остановил*, який, хто, коли, де, вже, hangi*, kim, nerede*,
        zaten, karar*, kaldı*, který*, kde, kdy, už, vilken, vem, när, var, redan, nào, ai, khi nào, ở đâu, chưa,
        mana, siapa, kapan, sudah, どの, どこ, 誰, いつ, もう, 何が, 残って, 決め, 済み, だっけ, 哪个, 哪里, 哪,
        谁, 什么时候, 已经, 多少, 进度, 还剩, 了吗, 是什么, 定的, 어디, 누가, 언제, 어떤, 이미, 뭐, 무슨, 남은,
        남았, 됐, 했나, 였지, 더라, 몇, أين, من, متى, ما هو, कहाँ, कौन, कब, क्या""",
    "explaining": """
        explain*, what does, meaning, mean, means, translat*, shorten, summar*, list, show, read, count, quick*,
        briefly, erklär*, bedeutet, heißt, übersetz*, kürz*, zeig*, lies, liste*, zähl*, kurz, expliqu*, signifie,
        veut dire, tradui*, résum*, montre*, lis, vite fait, explic*, significa, tradu*, resum*, muestra*, lista*,
        lee, mostra*, liste, leia, spieg*, vuol dire, leggi, elenca*, leg uit, betekent, vertaal*, toon,
        laat zien, wyjaśnij*, znaczy, przetłumacz*, pokaż*, wypisz, przeczytaj*, объясн*, значит, перевед*,
        покаж*, прочита*, коротко, кратко, поясн*, açıkla*, demek*, çevir*, göster*, oku*, vysvětl*, znamená,
        přelož*, ukaž*, förklara*, betyder, översätt*, visa, giải thích, nghĩa là, dịch, jelaskan*, artinya,
        terjemah*, 説明, 意味, 訳し, 教えて, 見せて, 読んで, 一覧, 要約, とは, 解释, 什么意思, 翻译, 列出, 读一下,
        看一下, 简单说, 是干什么, 설명, 의미, 뜻, 번역, 보여, 읽어, 알려, 요약, اشرح, ترجم, معنى, समझाओ, मतलब""",
    "a wish as a question": """
        could you, can you, would you, could we, can we, is it possible, possible to, any way, any chance,
        könntest du, könnte man, kann man, kannst du, könnten wir, ist es möglich, wäre es möglich, geht das,
        tu pourrais, peux tu, pourrait on, peut on, on peut, est il possible, possible de, podrías, puedes,
        se puede, se podría, es posible, podrias, dá para, dá pra, podes, pode, poderia, é possível, consegues,
        puoi, potresti, si può, si potrebbe, è possibile, kun je, zou je, kunnen we, is het mogelijk, możesz,
        mógłbyś, da się, czy można, czy mogł*, можно ли, можешь, можно, можете, чи можна, можеш, можна, mümkün mü,
        yapabilir*, misin, mısın, můžeš, jde, kan du, går det, có thể, bisa, bisakah, できますか, できる,
        できない, 可能, もらえ, くれる, くれない, 能不能, 能否, 可以吗, 可不可以, 可否, 能让, 수 있, 될까, 있을까,
        가능, 주실, 줄래, هل يمكن, ممكن, सकते, सकता""",
    "small edits": """
        replace, replace*, reword*, ersetz*, remplac*, sustituy*, substitu*, sostitu*, vervang*, zamień, замени*,
        заміни*, değiştir*, nahraď*, ersätt*, 置き換え, 替换, 换成, 교체, rename*, typo*, bump*, note, tick off,
        strike, mark, tippfehler*, umbenenn*, notier*, hak, streich*, vermerk*, schreib* in, faute*, coquille*,
        renomm*, coche*, note*, errata, renombr*, anota*, apunta*, tacha*, marca*, renome*, anote, risque, refuso,
        rinomin*, annota*, segna*, spunta*, typefout, hernoem*, noteer, vink*, literówk*, zmień nazwę, zanotuj*,
        odhacz*, dopisz, опечат*, переимен*, отмет*, запиши*, помен*, познач*, запиши, yazım*, adını, not al*,
        işaretle*, překlep*, přejmen*, poznamen*, stavfel, döp om, anteckna*, lỗi chính tả, đổi tên, ghi,
        ubah nama, catat*, 誤字, リネーム, メモし, チェックを, 書き足し, に変えて, 直しといて, 错别字, 改名,
        记一下, 勾, 改成, 标记, 记到, 오타, 이름을, 적어, 체크, 메모, 바꿔, سجّل, नोट""",
    "adding code": """
        add, adds, write, implement*, build, create*, generate*, refactor*, füg*, ergänz*, schreib*,
        implementier*, bau*, erstell*, ajoute*, écri*, implément*, cré*, génèr*, añad*, agreg*, escrib*,
        implementa*, crea*, adicion*, escrev*, cri*, acrescent*, aggiung*, scriv*, voeg*, schrijf*, maak, bouw*,
        dodaj*, napisz*, zaimplement*, stwórz, zrób, добав*, напиш*, реализ*, созда*, сдела*, дода*, створ*,
        ekle*, yaz*, oluştur*, přidej*, napiš*, vytvoř*, lägg till, skriv*, skapa*, thêm, viết, tạo, tambah*,
        tulis*, buat*, 追加, 書いて, 実装, 作って, 作成, 付けて, つけて, 対応して, 加, 添加, 写个, 写一个, 实现,
        增加, 新增, 做个, 生成, 추가, 작성, 구현, 만들어, 짜줘, 넣어, أضف, اكتب, जोड़, लिख""",
    "broken": """
        fix*, broken, crash*, error*, fail*, bug*, doesn't, does not work, hangs, wrong, slow, red, behebe*,
        kaputt, fehler*, stürzt*, bricht*, geht nicht, hängt, falsch*, langsam*, schlägt fehl, corrig*, répar*,
        plante*, erreur*, échou*, marche pas, lent, arregl*, falla*, rompe*, roto, no funciona, cuelga, conserta*,
        corrij*, quebr*, erro, falh*, não funciona, trava, lento, corregg*, sistema, errore, fallisc*, rotto,
        non funziona, si blocca, lent*, repareer*, kapot, fout*, werkt niet, crasht, napraw*, błąd*, błęd*,
        nie działa, wywala*, sypie, исправ*, почин*, ошибк*, пада*, не работает, сломал*, виснет, виправ*,
        помилк*, не працює, düzelt*, hata*, çalışmıyor, çöküyor, bozul*, oprav*, chyb*, nefunguje, padá, fixa,
        trasig*, fungerar inte, kraschar, sửa, lỗi, không hoạt động, perbaiki*, gagal, rusak, 直して, 修正,
        エラー, 落ち, 動かない, バグ, 失敗, 壊れ, 遅い, おかしい, 修复, 修一下, 报错, 崩溃, 失败, 不工作, 出错,
        慢, 坏了, 고쳐, 오류, 에러, 안 돼, 안돼, 깨져, 실패, 죽어, 버그, 느려, 수정, أصلح, خطأ, لا يعمل, ठीक,
        त्रुटि""",
    "tests": """
        test, tests, unittest*, pruebas, prueba, testes, teste, testy, testów, тест*, testler*, テスト, 测试,
        테스트, kiểm thử, اختبار*""",
    "no code": """
        no code, don't write code, without code, kein code, noch kein code, ohne code, keinen code, pas de code,
        sin código, sem código, niente codice, senza codice, geen code, bez kodu, без кода, код не, kod yazma*,
        コードは, 不写代码, 先别写, 不要写, 코드 없이, 코드는""",
    "going on": """
        continue, go ahead, go on, proceed, yes, ok, okay, next, weiter*, mach weiter, leg los, ja, continue*,
        vas y, oui, sigue, adelante, sí, vale, continúa, segue, sim, pode, avanti, procedi, sì, ga door,
        kontynuuj*, dalej, tak, продолж*, давай, да, поехали, далі, devam*, evet, tamam, pokračuj*, ano, fortsätt,
        tiếp*, lanjut*, ya, 続け, はい, 進めて, お願い, 次, 继续, 好的, 好, 可以, 下一, 계속, 네, 응, 진행, 다음,
        استمر, نعم, हाँ, जारी""",
}
CONCEPTS = tuple(_PHRASES)

_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\u0e00-\u0e7f]")
_WORD = re.compile(r"[^\W_]+")
_MAX_UNSPACED = 6
_MAX_CACHED_CHARS = 40
_NONE: frozenset[int] = frozenset()


def is_unspaced(word: str) -> bool:
    """Whether a word has letters of a script that puts no, or few, spaces between its words."""
    return _UNSPACED.search(word) is not None


def _index() -> tuple[dict[str, set[int]], dict[str, set[int]], dict[str, set[int]]]:
    whole: dict[str, set[int]] = {}
    beginnings: dict[str, set[int]] = {}
    unspaced: dict[str, set[int]] = {}
    for number, phrases in enumerate(_PHRASES.values()):
        for phrase in phrases.split(","):
            words = " ".join(_WORD.findall(phrase.lower()))
            if is_unspaced(words) and " " not in words:
                unspaced.setdefault(words, set()).add(number)
            elif phrase.strip().endswith("*") and " " not in words:
                beginnings.setdefault(words, set()).add(number)
            else:
                whole.setdefault(words, set()).add(number)
    return whole, beginnings, unspaced


_WHOLE, _BEGINNINGS, _UNSPACED_PARTS = _index()
_LONGEST_BEGINNING = max(map(len, _BEGINNINGS))
_FIRST_WORDS = {phrase.partition(" ")[0] for phrase in _WHOLE if " " in phrase}
_LONGEST_PHRASE = max(phrase.count(" ") + 1 for phrase in _WHOLE)


def concepts_of(words: Sequence[str]) -> tuple[int, ...]:
    """How often each of `CONCEPTS` is spoken of in lower-case words."""
    counts = [0] * len(CONCEPTS)
    for position, word in enumerate(words):
        found = _concepts_of_word(word) if len(word) <= _MAX_CACHED_CHARS else _concepts_of_word.__wrapped__(word)
        if word in _FIRST_WORDS:
            for length in range(2, _LONGEST_PHRASE + 1):
                found = found | _WHOLE.get(" ".join(words[position : position + length]), _NONE)
        for number in found:
            counts[number] += 1
    return tuple(counts)


@lru_cache(maxsize=4096)
def _concepts_of_word(word: str) -> frozenset[int]:
    found = set(_WHOLE.get(word, _NONE))
    for length in range(2, min(len(word), _LONGEST_BEGINNING) + 1):
        found |= _BEGINNINGS.get(word[:length], _NONE)
    if is_unspaced(word):
        for start in range(len(word)):
            for length in range(1, _MAX_UNSPACED + 1):
                found |= _UNSPACED_PARTS.get(word[start : start + length], _NONE)
    return frozenset(found) or _NONE  # most words have none, and each empty set takes 200 bytes
