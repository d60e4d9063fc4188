"""Schedules without waiting five minutes. `POST /_stack/schedules/PREFIX` fires those whose names have the prefix, with
MiniStack's own ticker, which leaves out the disabled ones."""

from ministack.services import scheduler


def fire(prefix):
    for key, schedule in list(scheduler._schedules._data.items()):
        if schedule["Name"].startswith(prefix):
            scheduler._schedule_last_fired[key] = 0
    scheduler._tick_schedules()
