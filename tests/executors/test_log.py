"""An executor's trouble is said once while it lasts."""

import logging

from executors.log import REPEAT_SECONDS, SaidOnce


def a_record(text, level=logging.WARNING):
    return logging.LogRecord("bitwright.executor", level, "agent.py", 1, "%s", (text,), None)


def test_the_same_trouble_is_said_once_and_again_after_minutes():
    at = [0.0]
    said_once = SaidOnce(clock=lambda: at[0])
    said = []
    for second in range(0, int(2 * REPEAT_SECONDS), 10):
        at[0] = float(second)
        said += [second] if said_once.filter(a_record("the service is gone")) else []
    assert said == [0, REPEAT_SECONDS]


def test_other_trouble_and_good_news_are_always_said():
    said_once = SaidOnce(clock=lambda: 0.0)
    assert said_once.filter(a_record("the service is gone"))
    assert said_once.filter(a_record("the disk is full"))
    assert said_once.filter(a_record("it answers again", logging.INFO))
    assert said_once.filter(a_record("the service is gone")), "good news ends the silence"
