"""Introductions in scripts without upper case, as patterns of the `regex` package.

A name ends at a particle, a mark or the end of the line. A Chinese one begins with a frequent surname, since
`我叫外卖` orders a meal. A Thai one needs the speaker or a mark before it, since `ชื่อ` also begins compounds.
"""

_SURNAMES = (
    "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕苏卢蒋蔡贾丁魏薛叶阎余潘杜戴夏"
    "钟汪田任姜范方石姚谭廖邹熊金陆郝孔白崔康毛邱秦江史顾侯邵孟龙万段雷钱汤尹黎易常武乔贺赖龚文"
    "張劉陳楊趙黃吳孫馬羅鄭謝韓馮蕭鄧許呂蘇盧蔣賈葉閻鍾譚鄒陸龍錢湯賴龔"
)
_MARK = r"[\s,.!?;、。，！；]|$"
# What is said or asked of a name: "what", "required", "not", "wrong", "shown".
_NO_JAPANESE = r"(?!何|なに|なん|誰|必須|任意|未|不|非|無|表示|入力|変更|登録|間違)"
_NO_KOREAN = r"(?!무엇|무슨|뭐|뭔|누구|필수|선택|비공개|틀|잘못|변경)"
_NO_THAI = r"(?!อะไร|ผิด|ไม่|ผู้ใช้|สินค้า|บัญชี)"
_NO_ARABIC = r"(?!(?:غير|ليس|لا|لم|ما|ماذا|خطأ|مكتوب|موجود|على|في|هو)(?!\p{L}))"
_NO_HEBREW = r"(?!(?:לא|מה|הוא|שגוי|מופיע|רשום|כתוב|ב\p{L}*)(?!\p{L}))"
_NO_HINDI = r"(?!(?:क्या|गलत|ग़लत|सही|नहीं|यह|वह|सूची)(?![\p{L}\p{M}]))"

PATTERNS = {
    "Japanese": (
        rf"(?:(?:名前|氏名)[は:：]|氏名(?![はをがでにのも])) ?\K{_NO_JAPANESE}"
        r"[\p{Han}\p{Hiragana}\p{Katakana}ー・]{2,12}?"
        rf"(?: [\p{{Han}}\p{{Hiragana}}\p{{Katakana}}ー・]{{1,6}}?)??(?=です|と申|と言|といい|だ。|{_MARK})"
    ),
    "Japanese, humble": (
        r"(?<![\p{Han}\p{Katakana}ー・])[\p{Han}\p{Katakana}ー・]{2,8}"
        r"(?: [\p{Han}\p{Katakana}ー・]{1,6})?(?<!番号|会社)(?=と申します|と申し上げます)"
    ),
    "Chinese": rf"(?:我(?:的名字)?(?:叫做?|是)|姓名[:：]) ?\K[{_SURNAMES}]\p{{Han}}{{1,2}}(?<![人客户戶])(?={_MARK})",
    "Korean": (
        rf"(?:이름은|성함은|성명[:은]|이름[:]) ?\K{_NO_KOREAN}\p{{Hangul}}{{2,5}}?"
        rf"(?=입니다|이에요|예요|이고|이라고|라고|{_MARK})"
    ),
    "Korean, humble": r"(?<!\p{L})(?:저는|나는) \K\p{Hangul}{2,4}?(?=이?라고 (?:합니다|해요|하는))",
    "Arabic": rf"(?<!\p{{L}})(?:اسمي|إسمي) (?:هو )?\K{_NO_ARABIC}\p{{Arabic}}++(?: \p{{Arabic}}++)?",
    "Hebrew": (rf"(?<!\p{{L}})(?:שמי|קוראים לי|השם שלי(?: הוא)?) \K{_NO_HEBREW}\p{{Hebrew}}++(?: \p{{Hebrew}}++)?"),
    "Hindi": (
        rf"(?:मेरा नाम|मेरा शुभ नाम) \K{_NO_HINDI}\p{{Devanagari}}{{2,20}}(?: \p{{Devanagari}}{{2,20}}){{0,2}}?(?= है)"
    ),
    "Thai": (
        rf"(?:(?:ผม|ฉัน|หนู)ชื่อ ?|(?<!\p{{Thai}})ชื่อ(?: |: ?)|ชื่อ-?(?:นาม)?สกุล:? ?)\K{_NO_THAI}\p{{Thai}}{{2,30}}?"
        r"(?: \p{Thai}{2,30}?)?(?= ?(?:ครับ|ค่ะ|คะ)|\s|$)"
    ),
}

STEMS = (
    "名前", "氏名", "と申", "我", "姓名", "이름", "성함", "성명", "라고 ",
    "اسمي", "إسمي", "שמי", "קוראים", "השם", "नाम", "ชื่อ",
)  # fmt: skip
"""Without one of them no pattern matches."""
