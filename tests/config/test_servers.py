"""The test run's own servers: what tests rely on without seeing it."""

import pytest
import redis
from django.contrib.contenttypes.models import ContentType
from django.db import connection

from tests.servers import database_name


@pytest.mark.django_db
def test_database_is_this_workers_copy() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_database(), current_setting('fsync')")
        assert cursor.fetchone() == (database_name(), "off")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("time", ["first", "second"])
def test_committed_rows_are_gone_and_migrated_rows_are_back_in_the_next_test(time: str) -> None:
    assert not ContentType.objects.filter(app_label="left-behind").exists()
    assert ContentType.objects.filter(app_label="accounts", model="user").exists()
    ContentType.objects.filter(app_label="accounts").delete()
    ContentType.objects.create(app_label="left-behind", model=time)


@pytest.mark.parametrize("time", ["first", "second"])
def test_valkey_is_empty_at_the_start(valkey: redis.Redis, time: str) -> None:
    assert valkey.dbsize() == 0
    valkey.set("left-behind", time)
