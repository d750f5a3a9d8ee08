"""Bring the demo's database up to date and fill it: one process, for Django takes long to load."""

import django
from django.core.management import call_command

if __name__ == "__main__":
    django.setup()
    call_command("migrate")
    call_command("seed_demo")
