from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("messaging", "0007_ask_about_unknown"),
        ("campaigns", "0006_urgency_and_pace"),
    ]

    operations = [
        migrations.CreateModel(
            name="Pace",
            fields=[
                ("account", models.CharField(max_length=36, primary_key=True, serialize=False)),
                ("full_at", models.DateTimeField()),
            ],
        ),
    ]
