from django.db import migrations, models

# A search reads the index alone where the pages behind it are known to be all visible. Vacuum says
# so, and by default only after a fifth of the table has changed: after weeks, once it is large.
VACUUM_OFTEN = """
ALTER TABLE messaging_message SET (
    autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.02
)
"""
VACUUM_AS_USUAL = """
ALTER TABLE messaging_message RESET (
    autovacuum_vacuum_scale_factor, autovacuum_vacuum_insert_scale_factor
)
"""


class Migration(migrations.Migration):
    dependencies = [("messaging", "0008_pace")]

    operations = [
        migrations.RemoveIndex(model_name="message", name="messages_of_a_campaign"),
        migrations.AddIndex(
            model_name="message",
            index=models.Index(
                fields=["campaign", "-created_at", "-id"],
                include=["recipient"],
                name="messages_of_a_campaign",
            ),
        ),
        migrations.RunSQL(VACUUM_OFTEN, VACUUM_AS_USUAL),
    ]
