-- name: list_packed_alternatives
-- Alternatives of every decision as they are kept: packed, or in the body of an older one.
SELECT decision_id, alternatives, body -> 'alternatives' FROM decisions ORDER BY sequence

-- name: unpack_alternatives
-- One row a candidate, best first, out of a file with one decision a line.
CREATE TABLE {copy}.alternatives AS
SELECT
    decision_id,
    rank,
    item ->> 'scheme' AS scheme,
    item ->> 'method' AS method,
    CAST(item ->> 'group_size' AS INTEGER) AS group_size,
    item ->> 'engine' AS engine,
    CAST(item ->> 'tp' AS INTEGER) AS tp,
    CAST(item ->> 'pp' AS INTEGER) AS pp,
    CAST(item ->> 'artifact_bytes' AS BIGINT) AS artifact_bytes,
    item -> 'memory' AS memory,
    item -> 'quality' AS quality,
    item -> 'speed' AS speed,
    item -> 'job' AS job,
    item ->> 'serve' AS serve,
    item ->> 'why' AS why
FROM (
    SELECT decision_id, unnest(alternatives) AS item, generate_subscripts(alternatives, 1) AS rank
    FROM read_json($file, format = 'newline_delimited', columns = {{'decision_id': 'VARCHAR', 'alternatives': 'JSON[]'}})
)
