-- Who may call, and who asked for and allowed each job. A token's secret is kept as a salted hash alone.

CREATE TABLE tokens (
    token_id VARCHAR PRIMARY KEY,
    name VARCHAR NOT NULL,
    scopes VARCHAR[] NOT NULL,
    speaks_for_others BOOLEAN NOT NULL,
    salt VARCHAR NOT NULL,
    hash VARCHAR NOT NULL,
    created_at VARCHAR NOT NULL,
    revoked_at VARCHAR
);

ALTER TABLE jobs ADD COLUMN submitted_by VARCHAR;

ALTER TABLE jobs ADD COLUMN approved_by VARCHAR;
