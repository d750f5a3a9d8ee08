"""Accept: validate everything, one transaction, then ring for those who carry it out."""
