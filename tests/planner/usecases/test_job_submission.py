"""A decision becomes a job, or says why there is nothing to run."""

import pytest

from executors.job import Job
from planner.domain.errors import BadInput
from planner.domain.record.choice import CHOICE_FIELDS, choose_candidate
from planner.usecases.plan_model import plan_model
from planner.usecases.read_ask import read_ask
from planner.usecases.submit_job import submit_job


def test_a_job_carries_all_that_an_executor_has_to_know(workshop, tiny_plan, tiny_checkpoint):
    job = submit_job(workshop, tiny_plan.decision_id)
    made = job.specification
    assert job.state == "submitted"
    assert (made["backend"], made["scheme"], made["method"], made["format"]) == (
        "llamacpp",
        "Q8_0",
        "rtn",
        "gguf",
    )
    assert made["model_dir"] == str(tiny_checkpoint)
    assert made["artifact_name"] == "tiny-Q8_0"
    assert set(made["needs"]) == {"ram_bytes", "disk_bytes", "vram_bytes"}
    assert "calibration_samples" not in made  # round-to-nearest looks at no text


def test_the_beginning_of_a_decision_id_is_enough(workshop, tiny_plan):
    assert submit_job(workshop, tiny_plan.decision_id[:6]).decision_id == tiny_plan.decision_id


def test_a_named_alternative_is_made_instead_of_the_chosen(workshop, tiny_checkpoint):
    ask = {"ask": f"{tiny_checkpoint} for cpu", "scheme": "W4A16", "must_quantize": True}
    decision = plan_model(workshop, read_ask(ask))
    job = submit_job(workshop, decision.decision_id, choice={"method": "gptq", "group_size": 64})
    assert (job.specification["method"], job.specification["group_size"]) == ("gptq", 64)
    assert job.specification["calibration_samples"] > 0


def test_a_job_remembers_its_whole_choice(workshop, tiny_checkpoint):
    decision = plan_model(
        workshop, read_ask({"ask": f"{tiny_checkpoint} for 2x A6000", "must_quantize": True})
    )
    candidates = [decision.body["chosen"], *decision.body["alternatives"]]
    assert len({(made["engine"], made["tp"], made["pp"]) for made in candidates}) > 1
    for made in candidates:
        choice = {name: made[name] for name in CHOICE_FIELDS}
        specification = submit_job(workshop, decision.decision_id, choice=choice).specification
        assert choose_candidate(decision.body, {name: specification[name] for name in CHOICE_FIELDS}) == made
        assert Job.from_mapping(specification).engine == made["engine"]


def test_a_candidate_that_the_decision_lacks_is_refused_with_those_it_has(workshop, tiny_plan):
    with pytest.raises(BadInput, match="has no candidate with scheme NVFP4") as caught:
        submit_job(workshop, tiny_plan.decision_id, choice={"scheme": "NVFP4"})
    assert caught.value.code == "job.no_such_candidate"
    assert any("Q8_0" in choice for choice in caught.value.choices)


def test_a_rejected_candidate_is_refused_with_the_reason(workshop, tiny_checkpoint):
    decision = plan_model(workshop, read_ask({"ask": f"{tiny_checkpoint} for cpu"}))
    with pytest.raises(BadInput, match=r"rejected scheme Q2_K: .*2\.9 bits"):
        submit_job(workshop, decision.decision_id, choice={"scheme": "Q2_K"})


def test_a_model_without_weights_here_is_refused_with_the_way_out(workshop):
    decision = plan_model(workshop, read_ask({"ask": "qwen-72b for 2x A6000", "must_quantize": True}))
    with pytest.raises(BadInput, match="plan for that folder") as caught:
        submit_job(workshop, decision.decision_id)
    assert caught.value.code == "job.no_weights"


def test_a_demo_model_that_nobody_made_yet_is_refused_with_what_makes_it(workshop):
    decision = plan_model(workshop, read_ask({"ask": "demo for cpu in Q4_K_M"}))
    with pytest.raises(BadInput, match="bitwright executor demo-model") as caught:
        submit_job(workshop, decision.decision_id)
    assert caught.value.code == "job.no_demo_model"


@pytest.mark.parametrize("ask", [{"scheme": "BF16", "engine": "transformers"}])
def test_sixteen_bits_as_released_are_nothing_to_make(workshop, tiny_checkpoint, ask):
    decision = plan_model(workshop, read_ask({"ask": f"{tiny_checkpoint} for cpu", **ask}))
    with pytest.raises(BadInput, match="Nothing to make: BF16 is the model as released") as caught:
        submit_job(workshop, decision.decision_id)
    assert caught.value.code == "job.nothing_to_make"


def test_a_published_checkpoint_is_nothing_to_make(workshop):
    decision = plan_model(workshop, read_ask({"ask": "qwen-72b-instruct for 2x A6000"}))
    published = next(item for item in decision.body["alternatives"] if item.get("prebuilt"))
    choice = {
        name: published[name] for name in ("scheme", "method", "format", "engine", "group_size", "tp", "pp")
    }
    with pytest.raises(BadInput, match="Nothing to make"):
        submit_job(workshop, decision.decision_id, choice=choice)


def test_the_same_key_answers_with_the_job_it_made_before(workshop, tiny_plan):
    first = submit_job(workshop, tiny_plan.decision_id, idempotency_key="k1")
    assert submit_job(workshop, tiny_plan.decision_id, idempotency_key="k1").job_id == first.job_id
    assert submit_job(workshop, tiny_plan.decision_id, idempotency_key="k2").job_id != first.job_id


def test_a_key_used_for_another_request_is_refused(workshop, tiny_plan):
    submit_job(workshop, tiny_plan.decision_id, idempotency_key="k1")
    with pytest.raises(BadInput) as caught:
        submit_job(workshop, tiny_plan.decision_id, idempotency_key="k1", calibration_file="/other.txt")
    assert caught.value.code == "job.key_reused"
