import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns import sms

any_text = st.text(max_size=400)
gsm_text = st.text(alphabet=sms.GSM_BASIC + sms.GSM_EXTENSION, max_size=700)


def test_the_text_stands_between_the_agency_and_the_footer():
    text = sms.compose("Ministry of Parks", "Dear Mei Ling,\nhello.", "english")

    assert text == (
        "Ministry of Parks\n\n---\n\nDear Mei Ling,\nhello.\n\n---\n\n"
        "Automated message from the Singapore Government. Do not reply."
    )


def test_the_test_site_says_so_first():
    text = sms.compose("Ministry of Parks", "Hello", "english", sms.TEST_NOTICE)

    assert text.startswith(
        "This is only a training message. Please ignore it.\n\nMinistry of Parks\n\n---\n\nHello"
    )
    assert len(sms.TEST_NOTICE) == 50


def test_every_language_has_a_label_a_tag_and_a_footer():
    assert sms.LANGUAGES == ("english", "chinese", "malay", "tamil")
    assert set(sms.LANGUAGES) == set(sms.FOOTERS) == set(sms.LANGUAGE_TAGS)
    assert len(sms.FOOTERS["english"]) == 62
    assert sms.encoding(sms.FOOTERS["malay"]) == "GSM-7"


@pytest.mark.parametrize("language", sms.LANGUAGES)
def test_no_footer_holds_a_blocked_character(language):
    assert sms.blocked_characters(sms.FOOTERS[language], language) == []


# v2-sms §13.21
@pytest.mark.parametrize(
    ("text", "segments"),
    [
        ("", 1),
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 306, 2),
        ("a" * 307, 3),
        ("中" * 70, 1),
        ("中" * 71, 2),
        ("中" * 134, 2),
        ("中" * 135, 3),
        ("a" * 69 + "’", 1),
        ("a" * 70 + "’", 2),
        ("é" * 160, 1),
        ("€" * 80, 1),
        ("€" * 80 + "a", 2),
        # An escaped pair that would straddle the boundary moves to the next segment whole.
        ("a" * 152 + "€" + "a" * 152, 3),
        ("a" * 152 + "€" + "a" * 151, 2),
        ("a" * 151 + "€" + "a" * 153, 2),
        ("中" * 66 + "𠮷" + "中" * 66, 3),
        ("中" * 66 + "𠮷" + "中" * 65, 2),
        ("𠮷" * 35, 1),
        ("𠮷" * 36, 2),
        ("𠮷" * 67, 3),
    ],
)
def test_segments_are_counted_as_networks_bill_them(text, segments):
    assert sms.segments(text) == segments


@given(gsm_text)
def test_units_of_gsm_text_are_its_septets(text):
    assert sms.encoding(text) == "GSM-7"
    assert sms.units(text) == len(text) + sum(text.count(char) for char in sms.GSM_EXTENSION)


@given(any_text)
def test_units_of_other_text_are_its_utf16_code_units(text):
    if sms.encoding(text) == "UCS-2":
        assert sms.units(text) == len(text.encode("utf-16-le")) // 2


@given(any_text)
def test_segments_hold_all_units_and_waste_at_most_one_each(text):
    single, joined = sms.SEGMENT_UNITS[sms.encoding(text)]
    units, segments = sms.units(text), sms.segments(text)

    if units <= single:
        assert segments == 1
    else:
        assert -(-units // joined) <= segments <= -(-units // (joined - 1))


def test_the_basic_table_is_the_standard_one():
    assert len(set(sms.GSM_BASIC)) == len(sms.GSM_BASIC) == 127
    assert sms.GSM_BASIC.index("A") == 0x40  # one less than its code, for the missing escape


def test_a_measure_names_who_makes_a_message_expensive():
    measure = sms.measure("“Hi” – 中…“")

    assert (measure.characters, measure.units, measure.encoding, measure.segments) == (
        10,
        10,
        "UCS-2",
        1,
    )
    assert [(c.char, c.position, c.count, c.suggestion) for c in measure.culprits] == [
        ("“", 0, 2, '"'),
        ("”", 3, 1, '"'),
        ("–", 5, 1, "-"),
        ("中", 7, 1, None),
        ("…", 8, 1, "..."),
    ]


def test_plain_text_has_no_culprits_even_with_expensive_characters():
    assert sms.measure("café [€5]").culprits == ()


@pytest.mark.parametrize(
    ("char", "plain"),
    [
        ("‘", "'"),
        ("\u00a0", " "),
        ("\t", " "),
        ("\u200b", ""),
        ("ā", "a"),
        ("ç", "c"),
        ("Ａ", "A"),
        ("ﬁ", "fi"),
        ("中", None),
        ("அ", None),
    ],
)
def test_a_replacement_is_offered_where_there_is_an_equal(char, plain):
    assert sms.replacement(char) == plain


@given(st.characters())
def test_replacements_never_need_ucs2_themselves(char):
    assert sms.encoding(sms.replacement(char) or "") == "GSM-7"


@pytest.mark.parametrize("language", sms.LANGUAGES)
@pytest.mark.parametrize("char", ["|", "^", "€", "{", "}", "[", "~", "]", "\\", "`"])
def test_the_listed_characters_are_blocked_in_every_language(char, language):
    [blocked] = sms.blocked_characters(f"ab{char}c", language)

    assert (blocked.char, blocked.position) == (char, 2)
    assert sms.blocked_characters(blocked.suggestion, language) == []


@pytest.mark.parametrize(
    "char", ["😀", "☎", "✅", "❤", "\ufe0f", "🇸", "⏰", "⭐", "\u20e3", "🫠", "🀄", "\U000e0067"]
)
def test_emojis_are_blocked_in_every_language(char):
    for language in sms.LANGUAGES:
        assert [blocked.char for blocked in sms.blocked_characters(char, language)] == [char]


@pytest.mark.parametrize("char", ["\x00", "\x0b", "\x1b", "\f", "\r", "\u202e", "\u200b", "\ufeff"])
def test_invisible_characters_are_blocked(char):
    [blocked] = sms.blocked_characters(char, "english")

    assert blocked.name.startswith("an invisible character (")


@pytest.mark.parametrize("char", ["\ufffd", "\udc92", "\ue000"])
def test_damaged_characters_are_blocked(char):
    [blocked] = sms.blocked_characters(char, "chinese")

    assert blocked.message == (
        f"Replace a damaged character (U+{ord(char):04X}) with what was meant."
    )


@pytest.mark.parametrize(
    "text",
    ["Hi!\nBye\r\nTab\there", "café ñ £5 @home", "“smart” – quotes…", "您好，谢谢！", "★ © ™"],
)
def test_other_text_is_not_blocked(text):
    assert sms.blocked_characters(text, "english") == []


def test_joiners_are_spelling_in_tamil_and_a_trap_elsewhere():
    text = "க்\u200cஷ"

    assert sms.blocked_characters(text, "tamil") == []
    assert [b.position for b in sms.blocked_characters(text, "english")] == [2]


def test_blocked_characters_come_with_what_to_do():
    messages = [blocked.message for blocked in sms.blocked_characters("5€ ^ 😀", "english")]

    assert messages == [
        "Replace € (euro sign) with EUR.",
        "Remove ^ (circumflex accent).",
        "Remove the emoji 😀 (grinning face).",
    ]
