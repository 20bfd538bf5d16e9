-- name: add_document
-- Keep an input, by its hash.
INSERT INTO documents VALUES ($sha256, $kind, $content)

-- name: find_document
-- An input by its hash.
SELECT content FROM documents WHERE sha256 = $sha256

-- name: last_decision
-- The newest decision's place and hash, for the chain.
SELECT sequence, record_sha256 FROM decisions ORDER BY sequence DESC LIMIT 1

-- name: add_decisions
-- Append decisions to the chain: a row of sequence, decision_id, head, body and alternatives for each.
INSERT INTO chain VALUES (?, ?, ?, ?, ?)

-- name: find_decision
-- One decision by id or by an unambiguous beginning of it.
SELECT decision_id, created_at, body, alternatives, request_document, previous_sha256, record_sha256
FROM decisions
WHERE starts_with(decision_id, $decision_id)
ORDER BY sequence
LIMIT 2

-- name: list_decisions
-- Newest decisions first; a null cursor begins with the newest.
SELECT decision_id, created_at, request, model, target, scheme, method, engine
FROM decisions
WHERE $before IS NULL OR sequence < (SELECT sequence FROM decisions WHERE decision_id = $before)
ORDER BY sequence DESC
LIMIT $row_limit

-- name: add_job
-- Record a job.
INSERT INTO jobs (job_id, decision_id, state, specification, idempotency_key, created_at, updated_at,
    submitted_by, wanted_host)
VALUES ($job_id, $decision_id, $state, $specification, $idempotency_key, $at, $at, $submitted_by, $wanted_host)

-- name: find_job
-- One job.
SELECT job_id, decision_id, state, specification, host, claim_id, created_at, updated_at, result, error,
    submitted_by, approved_by, wanted_host
FROM jobs WHERE job_id = $job_id

-- name: find_job_by_key
-- The job that an idempotency key made.
SELECT job_id FROM jobs WHERE idempotency_key = $idempotency_key

-- name: find_claimed_job
-- The job that a claim holds.
SELECT job_id FROM jobs WHERE claim_id = $claim_id

-- name: add_claim
-- Record that a host holds a job until a moment.
INSERT INTO claims VALUES ($claim_id, $job_id, $host, $at, $leased_until)

-- name: renew_claim
-- Move the end of a lease.
UPDATE claims SET leased_until = $leased_until WHERE claim_id = $claim_id

-- name: extend_claims
-- Move the end of every lease that holds a job.
UPDATE claims SET leased_until = $leased_until
WHERE claim_id IN (SELECT claim_id FROM jobs WHERE state = 'claimed')

-- name: list_lapsed_jobs
-- Claimed jobs whose lease has ended, or was never written.
SELECT jobs.job_id
FROM jobs LEFT JOIN claims ON claims.claim_id = jobs.claim_id
WHERE jobs.state = 'claimed' AND coalesce(claims.leased_until, '') < $now
ORDER BY jobs.created_at, jobs.job_id

-- name: list_jobs
-- Jobs, newest first; a null decision matches all, a null cursor begins with the newest.
SELECT job_id, decision_id, state, specification, host, claim_id, created_at, updated_at, result, error,
    submitted_by, approved_by, wanted_host
FROM jobs
WHERE ($decision_id IS NULL OR decision_id = $decision_id)
    AND ($before IS NULL
        OR created_at < (SELECT created_at FROM jobs WHERE job_id = $before)
        OR (created_at = (SELECT created_at FROM jobs WHERE job_id = $before) AND job_id > $before))
ORDER BY created_at DESC, job_id
LIMIT $row_limit

-- name: list_running_jobs
-- Jobs that a host holds.
SELECT job_id, decision_id, state, specification, host, claim_id, created_at, updated_at, result, error,
    submitted_by, approved_by, wanted_host
FROM jobs
WHERE state = 'claimed' AND host = $host
ORDER BY created_at, job_id

-- name: oldest_approved_job
-- The next job that a host may have: one for any host, or for this one.
SELECT job_id FROM jobs
WHERE state = 'approved' AND (wanted_host IS NULL OR wanted_host = $host)
ORDER BY created_at, job_id LIMIT 1

-- name: move_job
-- Change a job's state if it is still what the caller saw.
UPDATE jobs
SET state = $state, updated_at = $at, host = coalesce($host, host), claim_id = coalesce($claim_id, claim_id),
    result = coalesce($result, result), error = coalesce($error, error),
    approved_by = coalesce($approved_by, approved_by)
WHERE job_id = $job_id AND state = $from_state
RETURNING job_id

-- name: add_job_event
-- Append to a job's events.
INSERT INTO job_events
SELECT $job_id, coalesce(max(sequence), 0) + 1, $at, $event FROM job_events WHERE job_id = $job_id
RETURNING sequence

-- name: list_job_events
-- Events of a job after one that was seen.
SELECT sequence, recorded_at, event FROM job_events WHERE job_id = $job_id AND sequence > $after ORDER BY sequence

-- name: add_measurement
-- What a job reported beside what was promised.
INSERT INTO measurements VALUES ($job_id, $decision_id, $name, $predicted, $predicted_low, $predicted_high,
    $measured, $unit, $at)

-- name: list_measurements
-- Measurements of a decision's jobs.
SELECT job_id, name, predicted, predicted_low, predicted_high, measured, unit, recorded_at
FROM measurements WHERE decision_id = $decision_id ORDER BY recorded_at, job_id, name
