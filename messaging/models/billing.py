"""What sends come to in money."""

from django.db import models

from campaigns.models import Campaign


class ChargedDay(models.Model):
    """A day in Singapore whose sends were counted into `Charge` rows. Final ones never change."""

    day = models.DateField(primary_key=True)
    as_of = models.DateTimeField()
    is_final = models.BooleanField(default=False)
    took = models.DurationField()

    def __str__(self) -> str:
        return f"{self.day}"


class Charge(models.Model):
    """What the sends of a campaign on one day come to, by country and outcome (v2-sms §10.6).

    `billing` writes them, a day at a time; pages add them up and never read messages.
    """

    id = models.BigAutoField(primary_key=True)
    campaign = models.ForeignKey(Campaign, models.PROTECT, db_index=False, related_name="charges")
    day = models.DateField()
    is_local = models.BooleanField()
    outcome = models.CharField(
        max_length=30, help_text="The last status, the code of the delivery error, or pending."
    )
    sends = models.IntegerField(help_text="Every attempt counts: a retry is sent again.")
    segments = models.IntegerField()
    micros = models.BigIntegerField(help_text="Millionths of a Singapore dollar, before GST.")

    class Meta:
        indexes = [models.Index(fields=["day"], name="charges_of_a_day")]
        constraints = [
            models.UniqueConstraint(
                fields=["campaign", "day", "is_local", "outcome"],
                name="one_charge_per_campaign_day_country_and_outcome",
            )
        ]

    def __str__(self) -> str:
        return f"{self.outcome} on {self.day}"
