-- Which host holds which job, until when. A claim's row stays when its job moves on: it says who had it.

CREATE TABLE claims (
    claim_id VARCHAR PRIMARY KEY,
    job_id VARCHAR NOT NULL,
    host VARCHAR NOT NULL,
    claimed_at VARCHAR NOT NULL,
    leased_until VARCHAR NOT NULL
);
