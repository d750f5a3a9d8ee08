from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("messaging", "0021_longer_references")]

    operations = [
        migrations.RemoveIndex(model_name="message", name="messages_of_a_campaign"),
        migrations.AddIndex(
            model_name="message",
            index=models.Index(
                fields=["campaign", "created_at", "id"],
                include=["recipient"],
                name="messages_of_a_campaign",
            ),
        ),
    ]
