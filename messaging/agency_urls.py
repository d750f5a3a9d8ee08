from django.urls import path

from messaging.views import billing

urlpatterns = [
    path("billing", billing.agency_bill, name="agency-billing"),
    path("billing.csv", billing.agency_bill_csv, name="agency-billing-csv"),
]
