from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("messaging", "0013_events_given_up")]

    operations = [
        migrations.RemoveIndex(model_name="attempt", name="attempts_to_ask_about"),
        migrations.AddIndex(
            model_name="attempt",
            index=models.Index(
                condition=models.Q(("ask_at__isnull", False), ("status__in", ["unknown", "sent"])),
                fields=["ask_at"],
                name="attempts_to_ask_about",
            ),
        ),
    ]
