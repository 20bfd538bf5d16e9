-- name: count_record
-- How much the record holds: decisions, jobs by state, and evidence by where it came from.
SELECT 'decisions' AS subject, '' AS part, count(*) AS number FROM decisions
UNION ALL
SELECT 'jobs', state, count(*) FROM jobs GROUP BY state
UNION ALL
SELECT 'evidence', CASE WHEN load_id IS NULL THEN 'own' ELSE 'tables' END AS origin, count(*)
FROM evidence GROUP BY origin
