from datetime import UTC, datetime

import psycopg
import pytest
from django.conf import settings
from django.db import DatabaseError, close_old_connections, connection

from postman.rows import prepared
from tests.factories import AgencyFactory


def another_connection(dbname):
    database = settings.DATABASES["default"]
    return psycopg.connect(
        host=database["HOST"],
        port=database["PORT"],
        user=database["USER"],
        password=database["PASSWORD"],
        dbname=dbname,
        autocommit=True,
    )


def server_process():
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return cursor.fetchone()[0]


@pytest.mark.django_db(transaction=True)
def test_a_connection_that_the_server_ended_meanwhile_is_made_anew():
    before = server_process()
    with another_connection("postgres") as other:
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


def answer_of_prepared(query):
    with prepared() as cursor:
        cursor.execute(query)
        return cursor.fetchall()


@pytest.mark.django_db(transaction=True)
def test_a_prepared_statement_is_planned_once_and_counted_like_any_other(
    django_assert_num_queries,
):
    with django_assert_num_queries(8):
        for _ in range(8):
            answer_of_prepared("SELECT 'once'")

    [(statement,)] = answer_of_prepared("SELECT statement FROM pg_prepared_statements")
    assert statement == "SELECT 'once'"


@pytest.mark.django_db(transaction=True)
def test_a_migration_under_a_prepared_statement_costs_one_request_and_not_all():
    with another_connection(connection.settings_dict["NAME"]) as other:
        other.execute("CREATE TABLE changing AS SELECT 1::int AS n")
        try:
            for _ in range(8):
                answer_of_prepared("SELECT n FROM changing")
            other.execute("ALTER TABLE changing ALTER n TYPE bigint")
            with pytest.raises(DatabaseError, match="cached plan"):
                answer_of_prepared("SELECT n FROM changing")
            close_old_connections()

            assert answer_of_prepared("SELECT n FROM changing") == [(1,)]
        finally:
            other.execute("DROP TABLE changing")


@pytest.mark.django_db
def test_moments_are_read_in_utc_by_every_kind_of_cursor():
    query = "SELECT '2026-01-10 09:15:02.118+08'::timestamptz"
    with connection.cursor() as cursor:
        cursor.execute(query)
        [by_django] = cursor.fetchall()
    [by_prepared] = answer_of_prepared(query)

    assert by_django == by_prepared == (datetime(2026, 1, 10, 1, 15, 2, 118000, tzinfo=UTC),)
    assert by_django[0].tzinfo is by_prepared[0].tzinfo is UTC
