"""The rows of a single send, written by bare psycopg: what the database alone could take.

Reads one JSON job from stdin, writes its timings, as `load.py` does.
"""

import asyncio
import json
import resource
import sys
import time
import uuid
from datetime import UTC, datetime

import psycopg
from psycopg.types.json import Jsonb
from uuid_utils.compat import uuid7

MESSAGE = """
INSERT INTO messaging_message (id, campaign_id, template_body_id, creator_id, via_api, recipient,
    values, segments, status, attempts_made, created_at, updated_at)
VALUES (%s, %s, %s, %s, true, %s, %s, 1, 'created', 0, %s, %s)
"""
COUNTERS = """
INSERT INTO messaging_counter (campaign_id, hour, status, n)
VALUES (%s, %s, 'total', 1), (%s, %s, 'created', 1)
"""


async def _write(job: dict, start: float, end: float, timings: list[float]) -> None:
    of = [uuid.UUID(job[name]) for name in ("campaign", "template_body", "creator")]
    values = Jsonb(job["values"])
    async with await psycopg.AsyncConnection.connect(job["database_url"], autocommit=True) as link:
        while (began := time.perf_counter()) < end:
            now = datetime.now(UTC)
            hour = now.replace(minute=0, second=0, microsecond=0)
            async with link.transaction():
                await link.execute(MESSAGE, [uuid7(), *of, "6581230001", values, now, now])
                await link.execute(COUNTERS, [of[0], hour, of[0], hour])
            if began >= start:
                timings.append(time.perf_counter() - began)


async def run(job: dict) -> dict:
    start = time.perf_counter() + job["warm_up"]
    end = start + job["seconds"]
    timings: list[float] = []
    writers = (_write(job, start, end, timings) for _ in range(job["connections"]))
    await asyncio.gather(*writers)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return {"timings": timings, "wrong": [], "cpu_seconds": usage.ru_utime + usage.ru_stime}


if __name__ == "__main__":
    json.dump(asyncio.run(run(json.load(sys.stdin))), sys.stdout)
