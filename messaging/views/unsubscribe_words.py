"""What the unsubscribe page says, in the four languages of its readers. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Words:
    """`{agency}`, `{address}`, `{date}` and `{minutes}` are filled in by the page."""

    tag: str  # of the language, in HTML
    own_name: str
    dates_as: str  # whose way to write a date
    languages: str
    ask: str
    ask_lead: str
    sender: str
    subject: str
    address: str
    unsubscribe: str
    done: str
    done_lead: str
    why: str
    why_hint: str
    reasons: dict[str, str]
    other: str
    own_words: str
    say_why: str
    thanks: str
    changed_your_mind: str
    undo_until: str
    undo: str
    undone: str
    too_late: str
    test: str
    test_agency: str
    test_subject: str
    problem: str
    choose: str
    too_long: str
    bad_link: str
    bad_link_lead: str
    too_often: str
    too_often_lead: str


ENGLISH = Words(
    tag="en-SG",
    own_name="English",
    dates_as="en-gb",
    languages="Language",
    ask="Stop emails from {agency}?",
    ask_lead="{agency} will send you no more emails like this one through Postman. Nothing changes "
    "until you press the button.",
    sender="Sender",
    subject="Email",
    address="Your address",
    unsubscribe="Unsubscribe",
    done="You are unsubscribed",
    done_lead="{agency} can no longer send emails like that one to {address} through Postman. One "
    "that has already left may still arrive.",
    why="Why did you unsubscribe? (optional)",
    why_hint="{agency} will read your answer.",
    reasons={
        "unwanted": "I no longer want these emails",
        "never": "I never signed up for these emails",
        "inappropriate": "The emails are inappropriate",
        "spam": "The emails are spam",
    },
    other="Another reason",
    own_words="In your own words",
    say_why="Send answer",
    thanks="Thank you for telling us why.",
    changed_your_mind="Changed your mind?",
    undo_until="Until {date} you can have the emails back.",
    undo="Get emails again",
    undone="You will get emails from {agency} again.",
    too_late="To get emails again, ask {agency}.",
    test="This link is from a test email. You can try the page out: nothing changes.",
    test_agency="the agency",
    test_subject="(the subject of the email)",
    problem="There is a problem",
    choose="Choose a reason, or write one.",
    too_long="Write at most 255 characters.",
    bad_link="This link does not work",
    bad_link_lead="Part of it may have been lost. Open it again from the email, or ask the sender "
    "of the email to stop writing to you. Nothing was changed.",
    too_often="Too many requests",
    too_often_lead="They came from your network. Try again in {minutes} min. Nothing was changed.",
)

CHINESE = Words(
    tag="zh-Hans",
    own_name="中文",
    dates_as="zh-hans",
    languages="语言",
    ask="不再接收{agency}的电邮？",
    ask_lead="{agency}将不再通过 Postman 给您发送这类电邮。按下按钮之前，一切保持不变。",
    sender="发件机构",
    subject="电邮",
    address="您的电邮地址",
    unsubscribe="取消订阅",
    done="您已取消订阅",
    done_lead="{agency}无法再通过 Postman 发送这类电邮到 {address}。已经发出的电邮仍可能送达。",
    why="您为什么取消订阅？（可不填）",
    why_hint="{agency}会看到您的回答。",
    reasons={
        "unwanted": "我不想再收到这些电邮",
        "never": "我从未订阅过这些电邮",
        "inappropriate": "电邮内容不当",
        "spam": "这些是垃圾电邮",
    },
    other="其他原因",
    own_words="请说明",
    say_why="提交",
    thanks="谢谢您告诉我们原因。",
    changed_your_mind="改变主意了？",
    undo_until="在{date}之前，您可以恢复订阅。",
    undo="恢复接收电邮",
    undone="您将会再收到{agency}的电邮。",
    too_late="如要再接收电邮，请联络{agency}。",
    test="这是测试电邮中的链接。您可以试用本页，不会有任何改变。",
    test_agency="该机构",
    test_subject="（电邮标题）",
    problem="出现问题",
    choose="请选择或填写原因。",
    too_long="最多可填 255 个字符。",
    bad_link="链接无效",
    bad_link_lead="链接可能不完整。请从电邮中重新打开，或请发件人停止给您发电邮。没有任何改变。",
    too_often="请求过多",
    too_often_lead="您的网络发出的请求过多。请在 {minutes} 分钟后再试。没有任何改变。",
)

MALAY = Words(
    tag="ms",
    own_name="Bahasa Melayu",
    dates_as="ms",
    languages="Bahasa",
    ask="Hentikan e-mel daripada {agency}?",
    ask_lead="{agency} tidak akan lagi menghantar e-mel seperti ini kepada anda melalui Postman. "
    "Tiada apa-apa berubah sehingga anda menekan butang ini.",
    sender="Penghantar",
    subject="E-mel",
    address="Alamat anda",
    unsubscribe="Berhenti melanggan",
    done="Anda telah berhenti melanggan",
    done_lead="{agency} tidak lagi dapat menghantar e-mel seperti itu kepada {address} melalui "
    "Postman. E-mel yang telah dihantar mungkin masih sampai.",
    why="Mengapa anda berhenti melanggan? (tidak wajib)",
    why_hint="{agency} akan membaca jawapan anda.",
    reasons={
        "unwanted": "Saya tidak mahu lagi e-mel ini",
        "never": "Saya tidak pernah melanggan e-mel ini",
        "inappropriate": "E-mel ini tidak sesuai",
        "spam": "E-mel ini ialah spam",
    },
    other="Sebab lain",
    own_words="Dengan kata-kata anda sendiri",
    say_why="Hantar jawapan",
    thanks="Terima kasih kerana memberitahu kami sebabnya.",
    changed_your_mind="Berubah fikiran?",
    undo_until="Anda boleh menerima e-mel semula jika anda memilihnya sebelum {date}.",
    undo="Terima e-mel semula",
    undone="Anda akan menerima e-mel daripada {agency} semula.",
    too_late="Untuk menerima e-mel semula, hubungi {agency}.",
    test="Pautan ini daripada e-mel ujian. Anda boleh mencuba halaman ini: tiada apa-apa berubah.",
    test_agency="agensi ini",
    test_subject="(tajuk e-mel)",
    problem="Terdapat masalah",
    choose="Pilih satu sebab, atau tuliskannya.",
    too_long="Tulis tidak lebih daripada 255 aksara.",
    bad_link="Pautan ini tidak berfungsi",
    bad_link_lead="Sebahagian daripadanya mungkin hilang. Buka semula daripada e-mel itu, atau minta "
    "penghantarnya berhenti menulis kepada anda. Tiada apa-apa berubah.",
    too_often="Terlalu banyak permintaan",
    too_often_lead="Permintaan itu datang daripada rangkaian anda. Cuba lagi dalam {minutes} minit. "
    "Tiada apa-apa berubah.",
)

TAMIL = Words(
    tag="ta",
    own_name="தமிழ்",
    dates_as="ta",
    languages="மொழி",
    ask="{agency} அனுப்பும் மின்னஞ்சல்களை நிறுத்த வேண்டுமா?",
    ask_lead="{agency} இனி Postman வழியாக இது போன்ற மின்னஞ்சல்களை உங்களுக்கு அனுப்பாது. "
    "பொத்தானை அழுத்தும் வரை எதுவும் மாறாது.",
    sender="அனுப்புநர்",
    subject="மின்னஞ்சல்",
    address="உங்கள் முகவரி",
    unsubscribe="சந்தாவை நிறுத்து",
    done="உங்கள் சந்தா நிறுத்தப்பட்டது",
    done_lead="{agency} இனி Postman வழியாக {address} முகவரிக்கு இது போன்ற மின்னஞ்சல்களை "
    "அனுப்ப முடியாது. ஏற்கெனவே அனுப்பப்பட்ட மின்னஞ்சல் வந்து சேரலாம்.",
    why="சந்தாவை ஏன் நிறுத்தினீர்கள்? (விருப்பமானால்)",
    why_hint="உங்கள் பதிலை {agency} படிக்கும்.",
    reasons={
        "unwanted": "இந்த மின்னஞ்சல்கள் எனக்கு இனி வேண்டாம்",
        "never": "இந்த மின்னஞ்சல்களுக்கு நான் பதிவு செய்யவில்லை",
        "inappropriate": "மின்னஞ்சல்கள் பொருத்தமற்றவை",
        "spam": "இவை வேண்டாத (spam) மின்னஞ்சல்கள்",
    },
    other="வேறு காரணம்",
    own_words="உங்கள் சொந்தச் சொற்களில்",
    say_why="பதிலை அனுப்பு",
    thanks="காரணத்தைத் தெரிவித்ததற்கு நன்றி.",
    changed_your_mind="மனம் மாறிவிட்டதா?",
    undo_until="{date} வரை மின்னஞ்சல்களை மீண்டும் பெறத் தேர்வு செய்யலாம்.",
    undo="மின்னஞ்சல்களை மீண்டும் பெறு",
    undone="{agency} அனுப்பும் மின்னஞ்சல்கள் உங்களுக்கு மீண்டும் வரும்.",
    too_late="மின்னஞ்சல்களை மீண்டும் பெற {agency} அமைப்பைத் தொடர்பு கொள்ளுங்கள்.",
    test="இது சோதனை மின்னஞ்சலின் இணைப்பு. இந்தப் பக்கத்தை முயன்று பார்க்கலாம்: எதுவும் மாறாது.",
    test_agency="இந்த அமைப்பு",
    test_subject="(மின்னஞ்சலின் தலைப்பு)",
    problem="ஒரு சிக்கல் உள்ளது",
    choose="ஒரு காரணத்தைத் தேர்ந்தெடுங்கள் அல்லது எழுதுங்கள்.",
    too_long="255 எழுத்துகளுக்கு மேல் எழுத வேண்டாம்.",
    bad_link="இந்த இணைப்பு வேலை செய்யவில்லை",
    bad_link_lead="இணைப்பின் ஒரு பகுதி விடுபட்டிருக்கலாம். மின்னஞ்சலிலிருந்து மீண்டும் "
    "திறந்து பாருங்கள், அல்லது உங்களுக்கு எழுதுவதை நிறுத்துமாறு அனுப்புநரிடம் கேளுங்கள். "
    "எதுவும் மாறவில்லை.",
    too_often="அளவுக்கு மீறிய கோரிக்கைகள்",
    too_often_lead="அவை உங்கள் கட்டமைப்பிலிருந்து வந்தன. {minutes} நிமிடங்களில் மீண்டும் "
    "முயலுங்கள். எதுவும் மாறவில்லை.",
)

LANGUAGES = {"english": ENGLISH, "chinese": CHINESE, "malay": MALAY, "tamil": TAMIL}
