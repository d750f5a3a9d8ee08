from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("campaigns", "0005_ranges_of_addresses")]

    operations = [
        migrations.AddField(
            model_name="campaign",
            name="is_urgent",
            field=models.BooleanField(
                default=False,
                help_text="Its single messages, such as one-time passwords, leave before all others.",
                verbose_name="time-critical",
            ),
        ),
        migrations.AddField(
            model_name="twiliocredentials",
            name="segments_per_second",
            field=models.PositiveIntegerField(
                default=10, help_text="What Twilio lets the account's sender send."
            ),
        ),
    ]
