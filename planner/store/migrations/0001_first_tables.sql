-- Everything a home keeps. Rows of `evidence` are only ever appended.

CREATE TABLE loads (
    load_id INTEGER PRIMARY KEY,
    data_sha256 VARCHAR NOT NULL UNIQUE,
    loaded_at TIMESTAMP NOT NULL
);

CREATE TABLE facts (
    load_id INTEGER NOT NULL,
    name VARCHAR NOT NULL,
    position INTEGER NOT NULL,
    fields JSON NOT NULL
);

CREATE VIEW models AS
SELECT
    load_id,
    fields ->> 'repo' AS model_id,
    lower(fields ->> 'family') AS family,
    fields ->> 'architecture' AS architecture,
    coalesce(try_cast(fields ->> 'params_total' AS DOUBLE), try_cast(fields ->> 'params_recomputed' AS DOUBLE)) AS params,
    coalesce(try_cast(fields ->> 'num_experts' AS INTEGER), 0) AS num_experts,
    CASE WHEN fields ->> 'tie_embeddings' = 'true' THEN 0
        ELSE try_cast(fields ->> 'vocab_size' AS DOUBLE) * try_cast(fields ->> 'hidden_size' AS DOUBLE)
    END AS input_embedding_params,
    fields ->> 'released' AS released,
    fields ->> 'source_ref' AS source
FROM facts
WHERE name = 'models';

CREATE VIEW accelerators AS
SELECT
    load_id,
    fields ->> 'name' AS name,
    fields ->> 'vendor' AS vendor,
    fields ->> 'architecture' AS architecture,
    try_cast(fields ->> 'compute_capability' AS DOUBLE) AS compute_capability,
    try_cast(fields ->> 'memory_gib_advertised' AS DOUBLE) AS memory_gib,
    try_cast(fields ->> 'memory_bytes_visible' AS BIGINT) AS visible_bytes,
    1e9 * try_cast(fields ->> 'memory_bandwidth_gb_s' AS DOUBLE) AS bandwidth_bytes_per_s,
    1e12 * coalesce(try_cast(fields ->> 'bf16_tflops_dense' AS DOUBLE), try_cast(fields ->> 'fp16_tflops_dense' AS DOUBLE))
        AS fp16_flops,
    fields ->> 'source_ref' AS source
FROM facts
WHERE name = 'accelerators';

CREATE VIEW engine_rules AS
SELECT
    load_id,
    fields ->> 'rule_id' AS rule_id,
    fields ->> 'role' AS role,
    fields ->> 'engine' AS engine,
    fields ->> 'version' AS version,
    coalesce(fields ->> 'schemes', fields ->> 'scheme') AS schemes,
    fields ->> 'conditions' AS conditions,
    fields ->> 'notes' AS notes,
    fields ->> 'source_ref' AS source
FROM facts
WHERE name = 'engine_rules';

CREATE TABLE efficiencies (
    load_id INTEGER NOT NULL,
    engine VARCHAR NOT NULL,
    device VARCHAR NOT NULL,
    metric VARCHAR NOT NULL,
    width VARCHAR NOT NULL,
    low DOUBLE NOT NULL,
    likely DOUBLE NOT NULL,
    high DOUBLE NOT NULL,
    figures INTEGER NOT NULL,
    sources VARCHAR[] NOT NULL
);

CREATE SEQUENCE evidence_ids START 1;

CREATE TABLE evidence (
    evidence_id BIGINT PRIMARY KEY DEFAULT nextval('evidence_ids'),
    load_id INTEGER,
    subject VARCHAR NOT NULL,
    model_label VARCHAR NOT NULL,
    model_id VARCHAR,
    family VARCHAR,
    params DOUBLE,
    scheme VARCHAR,
    method VARCHAR,
    group_size INTEGER,
    bits DOUBLE,
    engine VARCHAR,
    device VARCHAR,
    devices INTEGER,
    metric VARCHAR NOT NULL,
    higher_is_better BOOLEAN,
    value DOUBLE,
    baseline DOUBLE,
    unit VARCHAR,
    source_title VARCHAR NOT NULL,
    source_ref VARCHAR NOT NULL,
    source_date VARCHAR,
    flags VARCHAR,
    detail JSON,
    decision_id VARCHAR,
    job_id VARCHAR,
    recorded_at TIMESTAMP NOT NULL
);

CREATE TABLE documents (
    sha256 VARCHAR PRIMARY KEY,
    kind VARCHAR NOT NULL,
    content JSON NOT NULL
);

CREATE TABLE decisions (
    sequence BIGINT PRIMARY KEY,
    decision_id VARCHAR NOT NULL UNIQUE,
    created_at VARCHAR NOT NULL,
    request VARCHAR NOT NULL,
    model VARCHAR NOT NULL,
    target VARCHAR NOT NULL,
    scheme VARCHAR,
    method VARCHAR,
    engine VARCHAR,
    body JSON NOT NULL,
    previous_sha256 VARCHAR NOT NULL,
    record_sha256 VARCHAR NOT NULL
);

CREATE TABLE jobs (
    job_id VARCHAR PRIMARY KEY,
    decision_id VARCHAR NOT NULL,
    state VARCHAR NOT NULL,
    specification JSON NOT NULL,
    idempotency_key VARCHAR UNIQUE,
    host VARCHAR,
    claim_id VARCHAR,
    created_at VARCHAR NOT NULL,
    updated_at VARCHAR NOT NULL,
    result JSON,
    error JSON
);

CREATE TABLE job_events (
    job_id VARCHAR NOT NULL,
    sequence INTEGER NOT NULL,
    recorded_at VARCHAR NOT NULL,
    event JSON NOT NULL,
    PRIMARY KEY (job_id, sequence)
);

CREATE TABLE measurements (
    job_id VARCHAR NOT NULL,
    decision_id VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    predicted DOUBLE,
    predicted_low DOUBLE,
    predicted_high DOUBLE,
    measured DOUBLE,
    unit VARCHAR NOT NULL,
    recorded_at VARCHAR NOT NULL,
    PRIMARY KEY (job_id, name)
);

CREATE VIEW rejected_candidates AS
SELECT
    decision_id,
    item ->> 'scheme' AS scheme,
    item ->> 'method' AS method,
    CAST(item ->> 'group_size' AS INTEGER) AS group_size,
    item ->> 'engine' AS engine,
    CAST(item ->> 'tp' AS INTEGER) AS tp,
    CAST(item ->> 'pp' AS INTEGER) AS pp,
    item ->> 'code' AS code,
    item ->> 'message' AS message,
    item -> 'numbers' AS numbers,
    item ->> 'source' AS source,
    item -> 'way_out' AS way_out
FROM (SELECT decision_id, unnest(CAST(body -> 'rejected' AS JSON[])) AS item FROM decisions);

CREATE VIEW predicted_vs_measured AS
SELECT
    measurements.decision_id,
    measurements.job_id,
    decisions.model,
    decisions.scheme,
    decisions.method,
    measurements.name,
    measurements.predicted,
    measurements.predicted_low,
    measurements.predicted_high,
    measurements.measured,
    measurements.unit,
    CASE WHEN predicted IS NULL OR predicted = 0 THEN NULL ELSE measured / predicted - 1 END AS relative_error
FROM measurements
JOIN decisions USING (decision_id);
