"""SES's identities and the DNS they rest on, asked by the clients the app uses."""

import socket

import dns.resolver
import pytest
from botocore.exceptions import ClientError

DOMAIN = "health.gov.sg"


@pytest.fixture
def resolver(sandbox):
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers, resolver.port = ["127.0.0.1"], sandbox.port
    resolver.lifetime = 0.5
    return resolver


def refused(call):
    with pytest.raises(ClientError) as refusal:
        call()
    return refusal.value.response["Error"]["Code"]


def values(resolver, name, kind):
    return [rdata.to_text() for rdata in resolver.resolve(name, kind)]


def cnames(tokens):
    return "\n".join(
        f"{token}._domainkey.{DOMAIN} CNAME {token}.dkim.amazonses.com" for token in tokens
    )


def test_a_domain_is_pending_until_its_three_records_stand(sandbox, ses):
    made = ses.create_email_identity(EmailIdentity=DOMAIN)

    assert made["IdentityType"] == "DOMAIN"
    assert made["VerifiedForSendingStatus"] is False
    tokens = made["DkimAttributes"]["Tokens"]
    assert len(set(tokens)) == 3
    sandbox.publish(cnames(tokens[:2]))
    assert ses.get_email_identity(EmailIdentity=DOMAIN)["DkimAttributes"]["Status"] == "PENDING"
    sandbox.publish(cnames(tokens))
    found = ses.get_email_identity(EmailIdentity=DOMAIN)
    assert found["DkimAttributes"]["Status"] == "SUCCESS"
    assert found["DkimAttributes"]["Tokens"] == tokens
    assert found["VerifiedForSendingStatus"] is True
    sandbox.unpublish(DOMAIN)
    assert ses.get_email_identity(EmailIdentity=DOMAIN)["VerifiedForSendingStatus"] is False


def test_ses_can_be_told_what_to_say(sandbox, ses):
    ses.create_email_identity(EmailIdentity=DOMAIN)

    sandbox.decree(DOMAIN, "FAILED")

    assert ses.get_email_identity(EmailIdentity=DOMAIN)["DkimAttributes"]["Status"] == "FAILED"
    sandbox.decree(DOMAIN, "")
    assert ses.get_email_identity(EmailIdentity=DOMAIN)["DkimAttributes"]["Status"] == "PENDING"


def test_an_identity_is_made_once_and_can_be_deleted(ses):
    ses.create_email_identity(EmailIdentity=DOMAIN)

    assert refused(lambda: ses.create_email_identity(EmailIdentity=DOMAIN)) == (
        "AlreadyExistsException"
    )
    ses.delete_email_identity(EmailIdentity=DOMAIN)
    assert refused(lambda: ses.get_email_identity(EmailIdentity=DOMAIN)) == "NotFoundException"
    assert refused(lambda: ses.delete_email_identity(EmailIdentity=DOMAIN)) == "NotFoundException"


def test_a_return_path_is_pending_until_its_mail_exchanger_stands(sandbox, ses):
    ses.create_email_identity(EmailIdentity=DOMAIN)
    ses.put_email_identity_mail_from_attributes(
        EmailIdentity=DOMAIN, MailFromDomain=f"bounces.{DOMAIN}"
    )

    def state():
        found = ses.get_email_identity(EmailIdentity=DOMAIN)["MailFromAttributes"]
        assert found["MailFromDomain"] == f"bounces.{DOMAIN}"
        return found["MailFromDomainStatus"]

    assert state() == "PENDING"
    sandbox.publish(f"bounces.{DOMAIN} MX 10 feedback-smtp.ap-southeast-1.amazonses.com")
    assert state() == "SUCCESS"


def test_what_is_no_domain_is_refused(ses):
    for name in ("nodots", ".sg", "x" * 400 + ".sg"):
        assert refused(lambda name=name: ses.create_email_identity(EmailIdentity=name)) == (
            "BadRequestException"
        )


def test_published_records_can_be_looked_up(sandbox, resolver):
    long = "v=x; " + "p" * 300
    sandbox.publish(
        "; from a zone file\n"
        f'_postman.{DOMAIN}. 300 IN TXT "a \'quoted\' \\"word\\""\n'
        f'long.{DOMAIN} TXT "{long[:200]}" "{long[200:]}"\n'
        f"Alias.{DOMAIN} CNAME target.example.com\n"
        f"{DOMAIN} MX 10 mail.example.com."
    )

    (text,) = resolver.resolve(f"_postman.{DOMAIN}", "TXT")
    assert b"".join(text.strings) == b"a 'quoted' \"word\""
    (text,) = resolver.resolve(f"long.{DOMAIN}", "TXT")
    assert b"".join(text.strings).decode() == long
    assert values(resolver, f"alias.{DOMAIN}", "CNAME") == ["target.example.com."]
    assert values(resolver, DOMAIN.upper(), "MX") == ["10 mail.example.com."]


def test_a_name_that_does_not_exist_differs_from_one_without_such_a_record(sandbox, resolver):
    sandbox.publish(f"_postman.{DOMAIN} TXT x")

    with pytest.raises(dns.resolver.NoAnswer):
        resolver.resolve(DOMAIN, "TXT")
    with pytest.raises(dns.resolver.NXDOMAIN):
        resolver.resolve("moe.gov.sg", "TXT")


def test_a_silent_name_is_not_answered(sandbox, resolver):
    sandbox.publish(f"{DOMAIN} TXT x\nmoe.gov.sg TXT y")
    sandbox.silence(DOMAIN)

    with pytest.raises(dns.resolver.LifetimeTimeout):
        resolver.resolve(DOMAIN, "TXT")
    assert values(resolver, "moe.gov.sg", "TXT") == ['"y"']


@pytest.mark.parametrize(
    "line", ["health.gov.sg", "health.gov.sg A 1.2.3.4", "health.gov.sg MX x", "a..b TXT x", "x y"]
)
def test_a_line_that_is_no_record_publishes_nothing(sandbox, line):
    with pytest.raises(ValueError, match="422"):
        sandbox.publish(f"{DOMAIN} TXT x\n{line}")

    assert sandbox.get("/dns.json")["records"] == []


def test_noise_at_the_name_server_is_ignored(sandbox, resolver):

    sandbox.publish(f"{DOMAIN} TXT x")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as noise:
        for packet in (b"", b"\0" * 12, b"\xff" * 600):
            noise.sendto(packet, ("127.0.0.1", sandbox.port))

    assert values(resolver, DOMAIN, "TXT") == ['"x"']
