"""Checked, an event made writing down what became of a message wait for its webhook's deletion, and
fail with it."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("messaging", "0014_ask_about_unreported")]

    operations = [
        migrations.AlterField(
            model_name="webhookdelivery",
            name="webhook",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=models.CASCADE,
                related_name="deliveries",
                to="messaging.webhook",
            ),
        ),
    ]
