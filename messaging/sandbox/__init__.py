"""Stand-ins for the providers: their wire formats, their errors, their receipts.

A process of its own (`python -m messaging.sandbox --port 8001`) that the demo, the tests, the
benchmarks and the chaos runs use. Nothing leaves the machine. It imports nothing of ours, so the
product cannot lean on it by accident.
"""
