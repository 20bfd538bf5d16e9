-- Which hosts there are and what each had when it was last heard of, and which host a job has to go to.

CREATE TABLE hosts (
    name VARCHAR PRIMARY KEY,
    registered_at VARCHAR NOT NULL,
    seen_at VARCHAR NOT NULL,
    left_at VARCHAR,
    snapshot JSON NOT NULL,
    own_pids BIGINT[] NOT NULL,
    own_ram_bytes BIGINT NOT NULL
);

ALTER TABLE jobs ADD COLUMN wanted_host VARCHAR;
