from django.urls import path

from messaging.views import billing, suppressions

urlpatterns = [
    path("billing", billing.agency_bill, name="agency-billing"),
    path("billing.csv", billing.agency_bill_csv, name="agency-billing-csv"),
    path("suppressions", suppressions.suppressions, name="suppressions"),
    path("suppressions.csv", suppressions.suppressions_csv, name="suppressions-csv"),
    path("suppressions/import", suppressions.import_file, name="suppressions-import"),
    path("suppressions/<int:entry_id>/remove", suppressions.remove, name="suppression-remove"),
]
