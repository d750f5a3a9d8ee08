from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("campaigns", "0012_telegram")]
    operations = [
        migrations.RunSQL(
            "CREATE SEQUENCE campaigns_campaign_number_seq",
            "DROP SEQUENCE campaigns_campaign_number_seq",
        ),
        # The default is another for each row, so those that exist are numbered as well.
        migrations.AddField(
            "campaign",
            "number",
            models.BigIntegerField(
                db_default=models.Func(
                    models.Value("campaigns_campaign_number_seq"), function="nextval"
                ),
                editable=False,
                unique=True,
            ),
        ),
    ]
