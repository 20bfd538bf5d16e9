-- name: highest_evidence_id
-- The id up to which a decision made now may look.
SELECT coalesce(max(evidence_id), 0) FROM evidence

-- name: list_quality
-- Benchmark results that can be compared, as of an evidence version; suspect and near-zero rows left out.
SELECT evidence_id, coalesce(model_id, model_label), coalesce(params, 0), scheme,
    coalesce(method, ''), group_size, coalesce(bits, 0), metric, higher_is_better, value, baseline, source_title
FROM evidence
WHERE subject = 'quality' AND metric IN (SELECT unnest($benchmarks))
    AND (load_id = $load_id OR load_id IS NULL) AND evidence_id <= $highest_id
    AND scheme IS NOT NULL AND value IS NOT NULL AND baseline IS NOT NULL AND baseline <> 0
    AND NOT regexp_matches(coalesce(flags, ''),
        'near_zero_score|other_harness_baseline|inconsistent_card|duplicate_elsewhere')
ORDER BY evidence_id

-- name: list_efficiency
-- Share of peak reached by engines on devices, as computed when the data was loaded.
SELECT engine, device, metric, width, low, likely, high, figures, sources
FROM efficiencies WHERE load_id = $load_id ORDER BY engine, device, metric, width

-- name: list_own_efficiency
-- The same share from this home's own measurements, computed when they were recorded, by size class (powers of four).
SELECT engine, device, metric,
    CASE WHEN bits < 6 THEN '4 bits' WHEN bits < 12 THEN '8 bits' ELSE '16 bits' END AS width,
    quantile_cont(value, 0.05), quantile_cont(value, 0.5), quantile_cont(value, 0.95),
    count(*), list_sort(list(DISTINCT source_title)), CAST(floor(ln(params) / ln(4)) AS INTEGER) AS size_class
FROM evidence
WHERE subject = 'efficiency' AND load_id IS NULL AND evidence_id <= $highest_id AND params > 0
GROUP BY engine, device, metric, width, size_class
ORDER BY engine, device, metric, width, size_class

-- name: list_job_rates
-- Minutes for each parameter that this home's own jobs took, by size class (powers of four): the ratio times the
-- formula's minutes as of that day.
WITH job AS (
    SELECT engine, method, device, CAST(floor(ln(params) / ln(4)) AS INTEGER) AS size_class,
        value * baseline / params AS minutes_per_param
    FROM evidence
    WHERE subject = 'job_ratio' AND load_id IS NULL AND evidence_id <= $highest_id AND params > 0
)
SELECT engine, method, device, size_class, quantile_cont(minutes_per_param, 0.05),
    quantile_cont(minutes_per_param, 0.5), quantile_cont(minutes_per_param, 0.95), count(*)
FROM job
GROUP BY engine, method, device, size_class
ORDER BY engine, method, device, size_class

-- name: add_evidence
-- Append one measurement of this home.
INSERT INTO evidence (subject, model_label, model_id, family, params, scheme, method, group_size, bits, engine,
    device, metric, higher_is_better, value, baseline, unit, source_title, source_ref, source_date, detail,
    decision_id, job_id, recorded_at)
VALUES ($subject, $model_label, $model_id, $family, $params, $scheme, $method, $group_size, $bits, $engine,
    $device, $metric, $higher_is_better, $value, $baseline, $unit, $source_title, $source_ref, $source_date, $detail,
    $decision_id, $job_id, CAST($recorded_at AS TIMESTAMP))
RETURNING evidence_id

-- name: find_evidence
-- Rows of evidence by subject, model and scheme, newest first; a null argument matches all.
SELECT evidence_id, subject, model_label, model_id, scheme, method, group_size, engine, device, metric, value,
    baseline, unit, source_title, source_ref, flags
FROM evidence
WHERE (load_id = (SELECT load_id FROM loads WHERE data_sha256 = $data_sha256) OR load_id IS NULL)
    AND ($subject IS NULL OR subject = $subject)
    AND ($model IS NULL OR model_id = $model OR model_label ILIKE '%' || $model || '%')
    AND ($scheme IS NULL OR scheme = $scheme)
    AND ($metric IS NULL OR metric = $metric)
    AND ($before IS NULL OR evidence_id < $before)
ORDER BY evidence_id DESC
LIMIT $row_limit

-- name: count_sources
-- Sources with how many rows each gave.
SELECT source_title, subject, count(*) AS row_count, min(source_ref) AS source_ref
FROM evidence
WHERE load_id = (SELECT load_id FROM loads WHERE data_sha256 = $data_sha256) OR load_id IS NULL
GROUP BY source_title, subject
ORDER BY row_count DESC, source_title, subject
