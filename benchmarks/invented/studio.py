"""A game studio in Japan: Japanese, Korean and Chinese prompts, some English; player support and level design."""

import json
import random

from benchmarks.invented.site import Company, Site, Turn
from benchmarks.invented.texts import code, day, pick

_NAMES = "佐藤 鈴木 高橋 田中 渡辺 伊藤 中村 小林 加藤 吉田".split()
_ITEMS = "剣 盾 弓 薬草 指輪 兜 地図 鍵 宝石 杖".split()
_PLACES = "東の森 港町 古城 地下迷宮 雪山 砂漠 王都".split()
_ASKS = {
    "課金": ("ガチャで二重に支払った", "購入した石が届かない", "返金してほしい"),
    "不具合": ("画面が固まる", "ログインできない", "音が出ない"),
    "通報": ("暴言を言われた", "チートを使っている人がいる", "嫌がらせを受けた"),
    "要望": ("新しいキャラがほしい", "文字を大きくしてほしい", "夜モードがほしい"),
}
_LINES = (
    "開発は今週の目標を達成した。", "背景の作業が二日遅れている。", "音楽は外部に頼むことになった。", "テストで三つの問題が見つかった。",
    "予算は据え置きとする。", "次の会議は木曜日に行う。", "翻訳の品質について意見が分かれた。", "発売日はまだ決められない。",
)  # fmt: skip


def _text(r: random.Random, n: int) -> str:
    return "".join(pick(r, _LINES) for _ in range(n))


def _support(r: random.Random) -> Turn:
    label = pick(r, tuple(_ASKS))
    return Turn(
        f"{pick(r, _NAMES)}です。{pick(r, _ASKS[label])}。{pick(r, _PLACES)}で{pick(r, _ITEMS)}を使った後です。", label
    )


def _order(r: random.Random) -> Turn:
    who, item, place, when = pick(r, _NAMES), pick(r, _ITEMS), pick(r, _PLACES), day(r)
    text = f"{when}に{place}で{who}さんから{item}を{r.randint(1, 9)}個受け取る約束です。番号は{code(r)}です。"
    return Turn(text, json.dumps({"日付": when, "場所": place, "相手": who, "品物": item}, ensure_ascii=False))


def _polite(r: random.Random) -> Turn:
    item, place = pick(r, _ITEMS), pick(r, _PLACES)
    return Turn(
        f"{place}で{item}もらえるよ、{r.randint(1, 9)}時に来てね、遅れないで、みんな待ってるから",
        f"{place}で{item}をもらえます。{r.randint(1, 9)}時に来てください、遅れないでください、みんな待っていますから",
    )


def _riddle(r: random.Random) -> Turn:
    who = r.sample(_NAMES, 3)
    a, b = r.randint(2, 9), r.randint(2, 9)
    text = f"{who[0]}は{who[1]}より{a}歩前、{who[2]}は{who[0]}の{b}歩後ろにいる。毎回{who[1]}は{a + 1}歩、{who[2]}は{b + 2}歩進む。{r.randint(3, 9)}回後、先頭は誰か？"
    return Turn(text, pick(r, who))


def _balance(r: random.Random) -> Turn:
    text = f"攻撃{r.randint(20, 90)}、防御{r.randint(10, 60)}、会心率{r.randint(5, 40)}%、敵の体力{r.randint(300, 2000)}、回復{r.randint(5, 30)}毎ターン、{r.randint(2, 4)}人で戦う。倒せるターン数は？"
    return Turn(text, str(r.randint(11, 60)))


def _minutes(r: random.Random) -> Turn:
    return Turn(_text(r, 30), f"・{_text(r, 2)}\n・{_text(r, 1)}")


def _story(r: random.Random) -> Turn:
    return Turn(
        f"主人公:{pick(r, _NAMES)} 場所:{pick(r, _PLACES)} 鍵となる物:{pick(r, _ITEMS)}",
        f"{pick(r, _PLACES)}に朝が来た。{_text(r, 5)}",
    )


def _chatlog(r: random.Random) -> Turn:
    bad = r.random() < 0.12
    return Turn(
        f"{pick(r, _PLACES)}行こう {pick(r, _ITEMS)}ある？{'消えろ下手くそ' if bad else pick(r, ('了解', 'ありがとう', '待って'))}{r.randint(1, 99)}",
        "NG" if bad else "OK",
    )


def _korean(r: random.Random) -> Turn:
    label = pick(r, ("결제", "버그", "신고"))
    cue = {"결제": "환불해 주세요", "버그": "게임이 멈춰요", "신고": "욕설을 들었어요"}[label]
    return Turn(f"{cue} {code(r)} 서버 {r.randint(1, 40)} 입니다", label)


def _chinese(r: random.Random) -> Turn:
    a, b = r.randint(3, 30), r.randint(3, 30)
    return Turn(
        f"玩家每{a}分钟得{b}金币，开销每小时{r.randint(20, 90)}金币，活动期间翻{r.randint(2, 4)}倍，持续{r.randint(2, 9)}小时，最后剩多少？",
        str(a * b + r.randint(20, 400)),
    )


def _script(r: random.Random) -> Turn:
    return Turn(
        f"{pick(r, _ITEMS)}を拾うと{r.randint(2, 20)}秒だけ速くなる",
        f"function onPickup(player)\n  player.speed = player.speed * 1.5\n  wait({r.randint(2, 20)})\n  player.speed = player.speed / 1.5\nend",
    )


def _locale(r: random.Random) -> Turn:
    return Turn(
        f"{pick(r, _PLACES)}で{pick(r, _ITEMS)}を{r.randint(2, 9)}個集めよう",
        f"Collect {r.randint(2, 9)} of them in the {pick(r, ('forest', 'castle', 'port'))} before night falls, traveller, and come back.",
    )


def _design(r: random.Random) -> Turn:
    return Turn(
        f"目標:離脱率{r.randint(10, 50)}%減。制約:{pick(r, _PLACES)}のみ、{r.randint(2, 9)}週間、{r.randint(2, 6)}人",
        f"第一に{_text(r, 4)}したがって{_text(r, 4)}最後に{_text(r, 4)}",
    )


COMPANY = Company(
    "studio", False,
    (
        Site("support.kind", 1, "classification", _support, "窓口は四つあります。課金、不具合、通報、要望。問い合わせをどこへ渡しますか。窓口の名前を返してください。", 5),
        Site("trade.slots", 1, "extraction", _order, "約束の文から日付、場所、相手、品物を JSON にしてください。", 3),
        Site("notice.polite", 1, "rewrite", _polite, "お知らせ用に、同じ内容を丁寧な言い方にしてください。", 2),
        Site("quiz.answer", 3, "reasoning", _riddle, "クイズの答え合わせ係です。名前を一つ答えます。", 1),
        Site("balance.turns", 3, "reasoning", _balance, "戦闘の設計表に入る数字を出してください。", 1.5),
        Site("pm.minutes", 2, "summarization", _minutes, "会議の記録から、決まったことを短くまとめてください。", 1.5),
        Site("quest.intro", 2, "generation", _story, "クエストの冒頭の文を書いてください。三つの材料を使います。", 1.5),
        Site("chat.filter", 1, "moderation", _chatlog, "ゲーム内の発言です。OKかNG。", 4),
        Site("kr.desk", 1, "classification", _korean, "문의를 보고 담당을 정하세요: 결제, 버그, 신고.", 2),
        Site("cn.economy", 3, "reasoning", _chinese, "经济系统的数值，给策划填表。", 1),
        Site("lua.snippet", 3, "code", _script, "企画の文をゲームエンジン(Lua)で動く形にする。", 1),
        Site("loc.english", 2, "generation", _locale, "北米版の英語にしてください。世界観を守ること。", 1.5),
        Site("design.plan", 3, "reasoning", _design, "施策を考え、根拠とともに順に述べてください。", 0.7),
    ),
)  # fmt: skip
