"""Templates of WhatsApp's: which an officer may send, what fills them, and how they are pinned."""

import re
from collections.abc import Mapping
from types import MappingProxyType

from django.db import transaction
from django.db.models import Max, QuerySet
from django.utils import timezone

from campaigns import passcodes, templating
from campaigns.models import (
    Campaign,
    Language,
    OfficerProfile,
    Template,
    TemplateBody,
    WhatsappBody,
    WhatsappChoice,
    WhatsappTemplate,
)
from postman.accounts import audit
from postman.accounts.models import User
from postman.errors import Refused

ENGLISH = "en_GB"
# WhatsApp's code → our language (v1-backend §2.17).
LANGUAGES: Mapping[str, Language] = MappingProxyType(
    {
        ENGLISH: Language.ENGLISH,
        "zh_CN": Language.CHINESE,
        "ms": Language.MALAY,
        "ta": Language.TAMIL,
    }
)
# How people write them → WhatsApp's code.
SPELLINGS: Mapping[str, str] = MappingProxyType(
    {str(language.label).lower(): code for code, language in LANGUAGES.items()}
    | {code.lower(): code for code in LANGUAGES}
)
CODES = MappingProxyType({language: code for code, language in LANGUAGES.items()})
# Names by which a param is filled from what is known of the officer.
META_FIELDS = ("officer_name", "officer_designation", "agency")
# Of the text with its values filled in.
MOST_CHARACTERS = 1024
_is_label = re.compile(r"[a-z0-9_]{1,512}").fullmatch
# WhatsApp refuses params with these.
_breaks = re.compile(r"[\n\r\t\v\f\x85\u2028\u2029]| {5,}").search


def why_not(user: User) -> str:
    """What keeps this person from starting a WhatsApp campaign; empty if nothing does."""
    if granted_to(user).exists():
        return ""
    return (
        "No WhatsApp template is granted to you yet. Your agency administrator can ask Postman's "
        "support for one."
    )


def granted_to(user: User) -> QuerySet[WhatsappTemplate]:
    """Those that this person may send, by name."""
    return WhatsappTemplate.objects.filter(grants__user=user, is_approved=True)


# The catalogue -----------------------------------------------------------------------------------


def faults_of(template: WhatsappTemplate) -> dict[str, str]:
    """Field → what keeps the template from standing in the catalogue."""
    faults: dict[str, str] = {}
    if not _is_label(template.label):
        faults["label"] = "Lowercase letters, digits and underscores only, as WhatsApp names it."
    if fault := _fault_of_params(template.params):
        return faults | {"params": fault}
    if fault := _fault_of_body(template.body, template.params):
        faults["body"] = fault
    if fault := _fault_of_metadata(template):
        faults["param_metadata"] = fault
    if fault := _fault_of_languages(template):
        faults["languages"] = fault
    return faults


def _fault_of_params(params: object) -> str:
    if not isinstance(params, list) or not all(isinstance(name, str) for name in params):
        return 'Give a list of names, such as ["recipient_name", "slot"].'
    if len(set(params)) < len(params):
        return "A param stands in the list twice."
    for name in params:
        taken = (*templating.RESERVED_NAMES, passcodes.SEALED)
        if not re.fullmatch(templating.NAME_RULE, name) or name in taken:
            return f"“{name[:50]}” cannot be the name of a param."
    return ""


def _fault_of_body(body: object, params: list[str]) -> str:
    if not isinstance(body, str) or not body.strip():
        return "Write the text that WhatsApp approved."
    if len(body) > MOST_CHARACTERS:
        return f"A text of WhatsApp's has at most {MOST_CHARACTERS:,} characters."
    if faults := templating.check_template(body):
        return faults[0].message
    used = set(templating.variables(body))
    if used != set(params):
        names = ", ".join(sorted(used ^ set(params)))
        return f"The params and the {{{{names}}}} in the text differ: {names}."
    return ""


def _fault_of_metadata(template: WhatsappTemplate) -> str:
    metadata = template.param_metadata
    if not isinstance(metadata, dict):
        return 'Give an object, such as {"slot": {"displayName": "Time slot"}}.'
    for name, facts in metadata.items():
        if name not in template.params:
            return f"“{name[:50]}” is none of the params."
        if not isinstance(facts, dict) or not facts.keys() <= {
            "displayName",
            "defaultFromMetaField",
        }:
            return f"{name}: give a displayName or a defaultFromMetaField."
        if not all(isinstance(text, str) and text.strip() for text in facts.values()):
            return f"{name}: give words."
        if facts.get("defaultFromMetaField", META_FIELDS[0]) not in META_FIELDS:
            return f"{name}: defaultFromMetaField is one of {', '.join(META_FIELDS)}."
    return ""


def _fault_of_languages(template: WhatsappTemplate) -> str:
    languages = template.languages
    if not isinstance(languages, list):
        return 'Give a list, such as [{"code": "zh_CN", "language": "Chinese", "body": "…"}].'
    seen = {ENGLISH}
    for each in languages:
        if not isinstance(each, dict) or each.keys() != {"code", "language", "body"}:
            return "Each language has a code, a language and a body."
        code = each["code"]
        if code not in LANGUAGES or code in seen:
            return f"Give each of {', '.join(list(LANGUAGES)[1:])} at most once."
        if each["language"] != LANGUAGES[code].label:
            return f"The language of {code} is {LANGUAGES[code].label}."
        if fault := _fault_of_body(each["body"], template.params):
            return f"{code}: {fault}"
        seen.add(code)
    return ""


# The template of a campaign ----------------------------------------------------------------------


def chosen_in(campaign: Campaign) -> WhatsappTemplate | None:
    choice = WhatsappChoice.objects.select_related("template").filter(campaign=campaign).first()
    return choice.template if choice else None


def choose(campaign: Campaign, template: WhatsappTemplate, *, by: User) -> None:
    """What the campaign sends from here on; the caller says whether it may still be changed.

    Raises Refused where the template is not granted.
    """
    check_granted(template, by)
    WhatsappChoice.objects.update_or_create(
        campaign=campaign,
        defaults={"template": template, "chosen_by": by, "chosen_at": timezone.now()},
    )
    audit.record("whatsapp_template.chosen", by=by, on=campaign, template=template.pk)


def check_granted(template: WhatsappTemplate, user: User) -> None:
    """Raise Refused where this person may not send this template now, with the reason."""
    if granted_to(user).filter(pk=template.pk).exists():
        return
    raise Refused(
        f"The template “{template.name}” is not granted to you."
        if template.is_approved
        else f"WhatsApp does not approve the template “{template.name}” any more.",
        "template_not_granted",
    )


# Values ------------------------------------------------------------------------------------------


def label_of(template: WhatsappTemplate, param: str) -> str:
    """What an officer reads above the field of a param."""
    shown: str = template.param_metadata.get(param, {}).get("displayName", "")
    return shown or param.replace("_", " ").capitalize()


def typed_params(template: WhatsappTemplate) -> list[str]:
    """Those that somebody fills in: a passcode is made for each message."""
    return [name for name in template.params if name != passcodes.PARAM]


def with_passcode(template: WhatsappTemplate, values: Mapping[str, str]) -> dict[str, str]:
    """The values as they are stored with a message, a passcode of its own among them."""
    if not template.has_passcode:
        return dict(values)
    return {**values, passcodes.SEALED: passcodes.seal(passcodes.new())}


def defaults_for(user: User, template: WhatsappTemplate) -> dict[str, str]:
    """Param → what is known of the officer, where the template says that it is filled from that."""
    profile = OfficerProfile.objects.filter(pk=user.pk).first() or OfficerProfile()
    known = {
        "officer_name": profile.officer_name,
        "officer_designation": profile.designation,
        "agency": user.agency.name if user.agency else "",
    }
    return {
        param: known[facts["defaultFromMetaField"]]
        for param, facts in template.param_metadata.items()
        if "defaultFromMetaField" in facts
    }


def fault_of_value(value: str) -> str:
    """Why WhatsApp would not take this value for a param; empty where it would."""
    if not value.strip():
        return "This is empty, and WhatsApp takes no empty values."
    if len(value) > MOST_CHARACTERS:
        return f"This has more than {MOST_CHARACTERS:,} characters."
    if _breaks(value) or "\0" in value or any("\ud800" <= each <= "\udfff" for each in value):
        return "Take out line breaks, tabs and rows of spaces: WhatsApp takes none in a value."
    return ""


def fault_of_text(body: str, values: Mapping[str, str]) -> str:
    """Why the text with these values is nothing that WhatsApp takes."""
    length = len(templating.render(body, passcodes.opened(values)))
    if length <= MOST_CHARACTERS:
        return ""
    return (
        f"With these values the message has {length:,} characters; the most is {MOST_CHARACTERS:,}."
    )


# Pinning -----------------------------------------------------------------------------------------


@transaction.atomic
def pin(campaign: Campaign, template: WhatsappTemplate, code: str, *, by: User) -> TemplateBody:
    """The template's text in this language as it is now, so that what is sent can always be shown.

    Raises Refused, code `language_missing`, where it has none in it.
    """
    text = template.body_in.get(code)
    if text is None:
        raise Refused(
            f"This template is not available in the language {code!r}.", "language_missing"
        )
    if pinned := _pinned(campaign, template, code, text):
        return pinned
    Campaign.objects.select_for_update(no_key=True).get(pk=campaign.pk)
    if pinned := _pinned(campaign, template, code, text):  # by somebody else meanwhile
        return pinned
    holder, _ = Template.objects.get_or_create(campaign=campaign)
    language = LANGUAGES[code]
    versions = holder.bodies.filter(language=language)
    body = TemplateBody.objects.create(
        template=holder,
        language=language,
        version=(versions.aggregate(last=Max("version"))["last"] or 0) + 1,
        body=text,
        creator=by,
    )
    WhatsappBody.objects.create(
        body=body,
        source=template,
        label=template.label,
        language_code=code,
        params=template.params,
    )
    return body


def _pinned(
    campaign: Campaign, template: WhatsappTemplate, code: str, text: str
) -> TemplateBody | None:
    found = TemplateBody.objects.select_related("whatsapp").filter(
        template__campaign=campaign,
        whatsapp__source=template,
        whatsapp__language_code=code,
        whatsapp__label=template.label,
        whatsapp__params=template.params,
        body=text,
    )
    return found.order_by("-version").first()
