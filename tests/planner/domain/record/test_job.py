"""A job's moves, in one table."""

from typing import get_args

import pytest

from planner.domain.errors import BadInput
from planner.domain.record.job import FINAL_STATES, TRANSITIONS, Job, JobState, check_move

ALLOWED = {
    ("submitted", "approved"),
    ("submitted", "cancelled"),
    ("approved", "claimed"),
    ("approved", "cancelled"),
    ("claimed", "completed"),
    ("claimed", "failed"),
    ("claimed", "cancelled"),
    ("claimed", "approved"),  # a lost lease handed out again
}
STATES = get_args(JobState)


@pytest.mark.parametrize("from_state", STATES)
@pytest.mark.parametrize("state", STATES)
def test_a_job_moves_as_the_table_says(from_state, state):
    job = Job(job_id="j-1", decision_id="d-1", state=from_state, specification={})
    if (from_state, state) in ALLOWED:
        check_move(job, state)
        return
    with pytest.raises(BadInput, match=f"j-1 is {from_state}") as caught:
        check_move(job, state)
    assert caught.value.code == "job.illegal_move"


def test_every_state_has_a_row_and_what_is_over_stays_over():
    assert set(TRANSITIONS) == set(STATES)
    assert {"completed", "failed", "cancelled"} == FINAL_STATES
