"""What the page says that a password-protected email leads to, in its readers' languages. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Words:
    """`{agency}` and `{date}` are filled in by the page, `{n}` by its script."""

    tag: str  # of the language, in HTML
    own_name: str
    dates_as: str  # whose way to write a date
    languages: str
    heading: str
    lead: str
    sender: str
    sent: str
    contact: str
    until: str
    not_sent: str
    hint: str
    asked: str
    ignores: str
    reveal: str
    open: str
    opening: str
    warning: str
    message: str
    print: str
    blank: str
    wrong: str
    left: str
    last: str
    soon: str
    seconds: str
    minutes: str
    unreachable: str
    impossible: str
    impossible_lead: str
    locked: str
    locked_lead: str
    expired: str
    expired_lead: str
    withdrawn: str
    withdrawn_lead: str
    unknown: str
    unknown_lead: str


ENGLISH = Words(
    tag="en-SG",
    own_name="English",
    dates_as="en-gb",
    languages="Language",
    heading="Open your message",
    lead="{agency} sent you a message that only your password opens. The password is not sent: "
    "the message is decrypted on this device.",
    sender="Sender",
    sent="Sent",
    contact="Questions to",
    until="Can be opened until",
    not_sent="Not sent yet: this is a trial",
    hint="About the password, from the sender",
    asked="Password",
    ignores="Capital letters and spaces make no difference.",
    reveal="Show password",
    open="Open message",
    opening="Opening…",
    warning="Trust only links that end with .gov.sg. Do not pass on the address of this page or "
    "your password.",
    message="Message from {agency}",
    print="Print",
    blank="Type your password.",
    wrong="This is not the password.",
    left="You can try {n} more times, then this page locks.",
    last="You can try one more time, then this page locks.",
    soon="This try did not count, as it came too soon.",
    seconds="You can try again in {n} seconds.",
    minutes="You can try again in {n} minutes.",
    unreachable="We could not be reached. Check your connection and try again.",
    impossible="Your browser cannot open this message",
    impossible_lead="The message is decrypted on your device. That takes JavaScript, a recent "
    "browser and an address that starts with https://. Switch JavaScript on, or open the link from "
    "the email in another browser.",
    locked="This message is locked",
    locked_lead="A wrong password was typed too often, so it cannot be opened any more. Nobody has "
    "seen it meanwhile. The sender knows; ask them to send it again.",
    expired="This message has expired",
    expired_lead="It could be opened for a limited time, which is over. Ask the sender to send it "
    "again.",
    withdrawn="The sender withdrew this message",
    withdrawn_lead="It is erased and cannot be opened. Ask the sender if you expected it.",
    unknown="There is no message at this address",
    unknown_lead="Part of the link may be missing. Open it from the email again.",
)

CHINESE = Words(
    tag="zh-SG",
    own_name="中文",
    dates_as="zh-hans",
    languages="语言",
    heading="打开您的信息",
    lead="{agency} 给您发送了一则信息，只有您的密码才能打开。密码不会被传送：信息在您的设备上解密。",
    sender="发件机构",
    sent="发送日期",
    contact="查询",
    until="可打开至",
    not_sent="尚未发送：这是试用",
    hint="发件人关于密码的提示",
    asked="密码",
    ignores="不区分大小写，空格不计。",
    reveal="显示密码",
    open="打开信息",
    opening="正在打开…",
    warning="请只信任以 .gov.sg 结尾的链接。请勿转发本页网址或您的密码。",
    message="{agency} 的信息",
    print="打印",
    blank="请输入密码。",
    wrong="密码不正确。",
    left="您还可以尝试 {n} 次，之后本页将被锁定。",
    last="您还可以尝试一次，之后本页将被锁定。",
    soon="这次尝试来得太早，没有计算在内。",
    seconds="{n} 秒后可以再试。",
    minutes="{n} 分钟后可以再试。",
    unreachable="无法连接。请检查网络后再试。",
    impossible="您的浏览器无法打开这则信息",
    impossible_lead="信息在您的设备上解密，需要 JavaScript、较新的浏览器和以 https:// 开头的网址。"
    "请启用 JavaScript，或用其他浏览器打开电邮中的链接。",
    locked="这则信息已锁定",
    locked_lead="密码错误次数过多，已无法打开。期间没有人看过内容。发件人已获通知；请要求对方重新发送。",
    expired="这则信息已过期",
    expired_lead="打开期限已过。请要求发件人重新发送。",
    withdrawn="发件人已撤回这则信息",
    withdrawn_lead="内容已删除，无法打开。如果您在等候这则信息，请询问发件人。",
    unknown="这个网址没有信息",
    unknown_lead="链接可能不完整。请从电邮中重新打开。",
)

MALAY = Words(
    tag="ms-SG",
    own_name="Bahasa Melayu",
    dates_as="ms",
    languages="Bahasa",
    heading="Buka mesej anda",
    lead="{agency} menghantar mesej yang hanya boleh dibuka dengan kata laluan anda. Kata laluan "
    "tidak dihantar: mesej dinyahsulit pada peranti ini.",
    sender="Penghantar",
    sent="Dihantar",
    contact="Pertanyaan kepada",
    until="Boleh dibuka hingga",
    not_sent="Belum dihantar: ini percubaan",
    hint="Tentang kata laluan, daripada penghantar",
    asked="Kata laluan",
    ignores="Huruf besar dan ruang tidak dikira.",
    reveal="Tunjukkan kata laluan",
    open="Buka mesej",
    opening="Sedang dibuka…",
    warning="Percayai hanya pautan yang berakhir dengan .gov.sg. Jangan kongsi alamat halaman ini "
    "atau kata laluan anda.",
    message="Mesej daripada {agency}",
    print="Cetak",
    blank="Taip kata laluan anda.",
    wrong="Kata laluan ini salah.",
    left="Anda boleh mencuba {n} kali lagi, kemudian halaman ini dikunci.",
    last="Anda boleh mencuba sekali lagi, kemudian halaman ini dikunci.",
    soon="Percubaan ini tidak dikira kerana terlalu awal.",
    seconds="Anda boleh mencuba lagi dalam {n} saat.",
    minutes="Anda boleh mencuba lagi dalam {n} minit.",
    unreachable="Kami tidak dapat dihubungi. Semak sambungan anda dan cuba lagi.",
    impossible="Pelayar anda tidak dapat membuka mesej ini",
    impossible_lead="Mesej dinyahsulit pada peranti anda. Ini memerlukan JavaScript, pelayar "
    "terkini dan alamat yang bermula dengan https://. Hidupkan JavaScript, atau buka pautan dalam "
    "e-mel dengan pelayar lain.",
    locked="Mesej ini dikunci",
    locked_lead="Kata laluan salah terlalu banyak kali, jadi mesej tidak boleh dibuka lagi. Tiada "
    "siapa telah melihatnya sementara itu. Penghantar sudah tahu; minta supaya ia dihantar semula.",
    expired="Mesej ini telah tamat tempoh",
    expired_lead="Tempoh untuk membukanya telah berakhir. Minta penghantar menghantarnya semula.",
    withdrawn="Penghantar telah menarik balik mesej ini",
    withdrawn_lead="Ia telah dipadam dan tidak boleh dibuka. Tanya penghantar jika anda "
    "menantikannya.",
    unknown="Tiada mesej di alamat ini",
    unknown_lead="Sebahagian pautan mungkin hilang. Buka semula daripada e-mel.",
)

TAMIL = Words(
    tag="ta-SG",
    own_name="தமிழ்",
    dates_as="ta",
    languages="மொழி",
    heading="உங்கள் செய்தியைத் திறக்கவும்",
    lead="{agency} உங்களுக்கு ஒரு செய்தியை அனுப்பியுள்ளது; உங்கள் கடவுச்சொல் மட்டுமே அதைத் "
    "திறக்கும். கடவுச்சொல் அனுப்பப்படாது: செய்தி இந்தச் சாதனத்திலேயே மறைநீக்கப்படும்.",
    sender="அனுப்புநர்",
    sent="அனுப்பிய நாள்",
    contact="கேள்விகளுக்கு",
    until="திறக்கக்கூடிய கடைசி நாள்",
    not_sent="இன்னும் அனுப்பப்படவில்லை: இது ஒரு சோதனை",
    hint="கடவுச்சொல் பற்றி அனுப்புநர் தரும் குறிப்பு",
    asked="கடவுச்சொல்",
    ignores="பெரிய எழுத்தும் இடைவெளியும் கணக்கில் எடுக்கப்படாது.",
    reveal="கடவுச்சொல்லைக் காட்டு",
    open="செய்தியைத் திற",
    opening="திறக்கிறது…",
    warning=".gov.sg என முடியும் இணைப்புகளை மட்டும் நம்புங்கள். இந்தப் பக்கத்தின் முகவரியையோ "
    "கடவுச்சொல்லையோ யாருக்கும் தர வேண்டாம்.",
    message="{agency} அனுப்பிய செய்தி",
    print="அச்சிடு",
    blank="கடவுச்சொல்லை உள்ளிடவும்.",
    wrong="கடவுச்சொல் தவறு.",
    left="இன்னும் {n} முறை முயலலாம்; பிறகு இந்தப் பக்கம் பூட்டப்படும்.",
    last="இன்னும் ஒரு முறை முயலலாம்; பிறகு இந்தப் பக்கம் பூட்டப்படும்.",
    soon="மிக விரைவாக முயன்றதால் இந்த முயற்சி கணக்கில் எடுக்கப்படவில்லை.",
    seconds="{n} வினாடிகளில் மீண்டும் முயலலாம்.",
    minutes="{n} நிமிடங்களில் மீண்டும் முயலலாம்.",
    unreachable="தொடர்புகொள்ள முடியவில்லை. இணைப்பைச் சரிபார்த்து மீண்டும் முயலுங்கள்.",
    impossible="உங்கள் உலாவியால் இந்தச் செய்தியைத் திறக்க முடியவில்லை",
    impossible_lead="செய்தி உங்கள் சாதனத்தில் மறைநீக்கப்படுகிறது. அதற்கு JavaScript, புதிய உலாவி, "
    "https:// எனத் தொடங்கும் முகவரி ஆகியவை தேவை. JavaScript-ஐ இயக்குங்கள், அல்லது மின்னஞ்சலில் "
    "உள்ள இணைப்பை வேறு உலாவியில் திறங்கள்.",
    locked="இந்தச் செய்தி பூட்டப்பட்டுள்ளது",
    locked_lead="தவறான கடவுச்சொல் பலமுறை உள்ளிடப்பட்டதால் இனித் திறக்க முடியாது. இதற்கிடையில் "
    "யாரும் அதைப் பார்க்கவில்லை. அனுப்புநருக்குத் தெரிவிக்கப்பட்டுள்ளது; மீண்டும் அனுப்பக் கேளுங்கள்.",
    expired="இந்தச் செய்தி காலாவதியானது",
    expired_lead="திறப்பதற்கான காலம் முடிந்துவிட்டது. மீண்டும் அனுப்புமாறு அனுப்புநரிடம் கேளுங்கள்.",
    withdrawn="அனுப்புநர் இந்தச் செய்தியைத் திரும்பப் பெற்றார்",
    withdrawn_lead="அது அழிக்கப்பட்டுவிட்டது; திறக்க முடியாது. நீங்கள் எதிர்பார்த்திருந்தால் அனுப்புநரிடம் கேளுங்கள்.",
    unknown="இந்த முகவரியில் செய்தி இல்லை",
    unknown_lead="இணைப்பின் ஒரு பகுதி விடுபட்டிருக்கலாம். மின்னஞ்சலிலிருந்து மீண்டும் திறங்கள்.",
)

LANGUAGES = {"english": ENGLISH, "chinese": CHINESE, "malay": MALAY, "tamil": TAMIL}
