"""Carry out what was accepted: expand, claim, hand over, record, sweep.

Every function may run twice, at once and after a crash: rows are moved, locked or changed only
from the state they must be in. Redis knows nothing; `tasks` calls these.
"""
