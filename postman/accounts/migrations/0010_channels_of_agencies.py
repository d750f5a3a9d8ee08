from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0009_retention_of_emails"),
    ]

    operations = [
        migrations.AddField(
            model_name="agency",
            name="may_use_sms",
            field=models.BooleanField(db_default=True, default=True, verbose_name="SMS"),
        ),
        migrations.AddField(
            model_name="agency",
            name="may_use_email",
            field=models.BooleanField(db_default=True, default=True, verbose_name="email"),
        ),
        migrations.AddField(
            model_name="agency",
            name="may_use_telegram",
            field=models.BooleanField(db_default=False, default=False, verbose_name="Telegram"),
        ),
        migrations.AddField(
            model_name="agency",
            name="may_use_whatsapp",
            field=models.BooleanField(db_default=False, default=False, verbose_name="WhatsApp"),
        ),
    ]
