from tests.factories import CampaignFactory


def test_each_campaign_gets_a_number_of_its_own_that_only_grows(db):
    first, second = CampaignFactory(), CampaignFactory()

    assert 0 < first.number < second.number
