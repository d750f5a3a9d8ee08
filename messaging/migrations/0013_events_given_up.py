"""Given-up events are few among many: the log finds them, and replays them, by this index."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("messaging", "0012_webhooks")]

    operations = [
        migrations.AddIndex(
            model_name="webhookdelivery",
            index=models.Index(
                condition=models.Q(("state", "gave_up")),
                fields=["webhook", "id"],
                name="events_given_up",
            ),
        ),
    ]
