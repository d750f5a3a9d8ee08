from django.db import migrations


def add_domains(apps, schema_editor):
    """Who may sign in until an administrator says otherwise (v2-sms §10A.1)."""
    domains = apps.get_model("accounts", "EmailDomain").objects
    domains.get_or_create(domain="gov.sg", includes_subdomains=True)
    for domain in ("edu.sg", "synapxe.sg", "aic.sg"):
        domains.get_or_create(domain=domain, includes_subdomains=True, members_only=True)


class Migration(migrations.Migration):
    dependencies = [("accounts", "0002_audit_is_append_only")]
    operations = [migrations.RunPython(add_domains, migrations.RunPython.noop)]
