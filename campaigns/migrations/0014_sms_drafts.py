import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("campaigns", "0013_numbers")]
    operations = [
        migrations.CreateModel(
            name="SmsDraft",
            fields=[
                (
                    "campaign",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="sms_draft",
                        serialize=False,
                        to="campaigns.campaign",
                    ),
                ),
                (
                    "credentials",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="campaigns.twiliocredentials",
                    ),
                ),
            ],
        ),
    ]
