"""What is sent is checked, and agrees with what the planner reads."""

import pytest
from pydantic import ValidationError

from planner.contract.requests import CandidateChoice, EstimateAsk, JobSubmission, PlanAsk, PredictionAsk
from planner.domain.record.choice import CHOICE_FIELDS
from planner.usecases.predict_evidence import FIELDS as PREDICTION_FIELDS
from planner.usecases.read_ask import FIELDS
from planner.usecases.read_estimate import NEEDED, OPTIONAL


def test_a_plan_has_the_fields_that_the_planner_reads():
    assert set(PlanAsk.model_fields) == FIELDS


def test_a_choice_has_the_fields_that_the_planner_compares():
    assert set(CandidateChoice.model_fields) == set(CHOICE_FIELDS)


def test_unknown_fields_are_refused():
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        JobSubmission.model_validate({"decision_id": "d-1", "schema": "W4A16"})


def test_an_estimate_has_the_fields_that_the_planner_reads():
    assert set(EstimateAsk.model_fields) == {*NEEDED, *OPTIONAL}


def test_a_prediction_has_the_fields_that_the_planner_reads():
    assert set(PredictionAsk.model_fields) == PREDICTION_FIELDS
