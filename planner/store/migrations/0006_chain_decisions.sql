-- A plan is kept by one statement of few columns, which is what its time goes into: the short facts of a decision
-- are one text, its request among them, and `decisions` shows them as columns.

CREATE TABLE chain (
    sequence BIGINT PRIMARY KEY,
    decision_id VARCHAR NOT NULL,
    head VARCHAR NOT NULL,
    body VARCHAR NOT NULL,
    alternatives BLOB
);

INSERT INTO chain
SELECT
    sequence,
    decision_id,
    to_json({
        created_at: created_at,
        request: request,
        model: model,
        target: target,
        scheme: scheme,
        method: method,
        engine: engine,
        request_document: documents.content,
        previous_sha256: previous_sha256,
        record_sha256: record_sha256
    }),
    body,
    alternatives
FROM decisions
LEFT JOIN documents ON documents.sha256 = (body ->> '$.inputs.request_sha256')
ORDER BY sequence;

DELETE FROM documents WHERE kind = 'request';

DROP TABLE decisions;

CREATE VIEW decisions AS
SELECT
    sequence,
    decision_id,
    head ->> 'created_at' AS created_at,
    head ->> 'request' AS request,
    head ->> 'model' AS model,
    head ->> 'target' AS target,
    head ->> 'scheme' AS scheme,
    head ->> 'method' AS method,
    head ->> 'engine' AS engine,
    body::JSON AS body,
    alternatives,
    nullif(head -> 'request_document', 'null'::JSON) AS request_document,
    head ->> 'previous_sha256' AS previous_sha256,
    head ->> 'record_sha256' AS record_sha256
FROM chain;
