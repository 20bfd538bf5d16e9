"""What is sent is checked, and agrees with what the planner reads."""

import pytest
from pydantic import ValidationError

from planner.contract.requests import CandidateChoice, JobSubmission, PlanAsk
from planner.domain.record.choice import CHOICE_FIELDS
from planner.usecases.read_ask import FIELDS


def test_a_plan_has_the_fields_that_the_planner_reads():
    assert set(PlanAsk.model_fields) == FIELDS


def test_a_choice_has_the_fields_that_the_planner_compares():
    assert set(CandidateChoice.model_fields) == set(CHOICE_FIELDS)


def test_unknown_fields_are_refused():
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        JobSubmission.model_validate({"decision_id": "d-1", "schema": "W4A16"})
