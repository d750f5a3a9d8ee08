import django.contrib.postgres.indexes
from django.db import migrations, models
from django.db.models.functions import Now


def ask_about_old_ones(apps, schema_editor):
    attempts = apps.get_model("messaging", "Attempt").objects
    attempts.filter(status="unknown", ask_at=None).update(ask_at=Now())


class Migration(migrations.Migration):
    dependencies = [("messaging", "0006_charges")]

    operations = [
        migrations.RemoveIndex(model_name="attempt", name="attempts_unheard_of"),
        migrations.AddField(
            model_name="attempt", name="ask_at", field=models.DateTimeField(null=True)
        ),
        migrations.RunPython(ask_about_old_ones, migrations.RunPython.noop),
        migrations.AddIndex(
            model_name="attempt",
            index=models.Index(
                condition=models.Q(("status", "unknown")),
                fields=["ask_at"],
                name="attempts_to_ask_about",
            ),
        ),
        migrations.AddIndex(
            model_name="attempt",
            index=django.contrib.postgres.indexes.BrinIndex(
                fields=["sent_at"], name="attempts_by_time_sent"
            ),
        ),
    ]
