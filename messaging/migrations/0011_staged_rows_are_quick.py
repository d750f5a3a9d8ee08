"""Looking up batch and body of each row took two thirds of storing it (benchmarks/ingest.py)."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("campaigns", "0003_calls_may_be_unlimited"),
        ("messaging", "0010_retention_mark"),
    ]

    operations = [
        migrations.AlterField(
            model_name="stagedrow",
            name="batch",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=models.CASCADE,
                related_name="staged_rows",
                to="messaging.batch",
            ),
        ),
        migrations.AlterField(
            model_name="stagedrow",
            name="template_body",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=models.PROTECT,
                related_name="+",
                to="campaigns.templatebody",
            ),
        ),
    ]
