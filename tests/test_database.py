import psycopg
import pytest
from django.conf import settings
from django.db import close_old_connections, connection

from tests.factories import AgencyFactory


def server_process():
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return cursor.fetchone()[0]


@pytest.mark.django_db(transaction=True)
def test_a_connection_that_the_server_ended_meanwhile_is_made_anew():
    before = server_process()
    database = settings.DATABASES["default"]
    with psycopg.connect(
        host=database["HOST"],
        port=database["PORT"],
        user=database["USER"],
        password=database["PASSWORD"],
        dbname="postgres",
        autocommit=True,
    ) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [before])
    close_old_connections()  # as at the start of each request

    AgencyFactory()

    assert server_process() != before


@pytest.mark.django_db(transaction=True)
def test_a_connection_that_stands_is_kept():
    before = server_process()
    close_old_connections()

    assert server_process() == before


@pytest.mark.django_db(transaction=True)
def test_a_connection_that_was_found_broken_is_made_anew():
    before = server_process()
    connection.connection.close()  # as the driver does with one that breaks under a statement
    close_old_connections()

    assert server_process() != before
