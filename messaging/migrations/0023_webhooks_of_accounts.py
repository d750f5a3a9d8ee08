import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [
        ("messaging", "0022_oldest_messages_first"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AlterField(
            model_name="webhook",
            name="campaign",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="webhooks",
                to="campaigns.campaign",
            ),
        ),
        migrations.AddField(
            model_name="webhook",
            name="account",
            field=models.ForeignKey(
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="webhooks",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddConstraint(
            model_name="webhook",
            constraint=models.UniqueConstraint(
                fields=["account", "url"], name="one_webhook_per_account_and_address"
            ),
        ),
        migrations.AddConstraint(
            model_name="webhook",
            constraint=models.CheckConstraint(
                condition=Q(campaign=None, account__isnull=False)
                | Q(campaign__isnull=False, account=None),
                name="webhooks_belong_to_a_campaign_or_an_account",
            ),
        ),
        migrations.AddField(
            model_name="webhookdelivery",
            name="provider_code",
            field=models.CharField(blank=True, db_default="", default="", max_length=60),
        ),
    ]
