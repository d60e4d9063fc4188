"""Schedules: nobody waits five minutes here. `POST /_stack/schedules/PREFIX` has those fire now whose names begin so, with
MiniStack's own ticker, which leaves out the disabled ones."""

from ministack.services import scheduler


def fire(prefix):
    for key, schedule in list(scheduler._schedules._data.items()):
        if schedule["Name"].startswith(prefix):
            scheduler._schedule_last_fired[key] = 0
    scheduler._tick_schedules()
