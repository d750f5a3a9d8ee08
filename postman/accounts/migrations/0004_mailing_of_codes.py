from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0003_default_domains")]

    operations = [
        migrations.AddField("logincode", "mailing_until", models.DateTimeField(null=True)),
        migrations.AddField(
            "logincode",
            "warned_at",
            models.DateTimeField(null=True, help_text="When its owner was told of wrong tries."),
        ),
    ]
