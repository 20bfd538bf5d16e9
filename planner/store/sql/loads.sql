-- name: find_load
-- The load of one content hash of data/, if it was loaded before.
SELECT load_id FROM loads WHERE data_sha256 = $data_sha256

-- name: add_load
-- Open a new load of data/.
INSERT INTO loads
SELECT coalesce(max(load_id), 0) + 1, $data_sha256, CAST($loaded_at AS TIMESTAMP) FROM loads
RETURNING load_id

-- name: add_facts
-- Keep every row of one small table as it stands in its file.
INSERT INTO facts
SELECT $load_id, $name, row_number() OVER () - 1, to_json(line)
FROM read_csv($path, all_varchar = true, header = true, null_padding = false) AS line

-- name: list_facts
-- The rows of one small table, in file order.
SELECT fields FROM facts WHERE load_id = $load_id AND name = $name ORDER BY position

-- name: add_quality_evidence
-- Benchmark results; words are read through the spelling table, the family through the model's row.
INSERT INTO evidence (load_id, subject, model_label, model_id, family, params, scheme, method, group_size, bits,
    engine, metric, higher_is_better, value, baseline, unit, source_title, source_ref, source_date, flags, detail,
    recorded_at)
SELECT
    $load_id, 'quality', line.model, nullif(line.repo, ''), lower(coalesce(model.family, line.family)),
    coalesce(model.params, 1e9 * try_cast(line.params_b AS DOUBLE)), scheme.canonical, method.canonical,
    try_cast(line.group_size AS INTEGER), try_cast(line.bits AS DOUBLE), nullif(line.engine, ''),
    coalesce(benchmark.canonical, line.benchmark), line.higher_is_better = 'true', try_cast(line.value AS DOUBLE),
    try_cast(line.baseline_value AS DOUBLE), line.metric, line.source_title, line.source_ref,
    nullif(line.source_date, ''), nullif(line.flags, ''), to_json(line), CAST($loaded_at AS TIMESTAMP)
FROM read_csv($path, all_varchar = true, header = true) AS line
LEFT JOIN spelling AS scheme ON scheme.kind = 'scheme' AND scheme.text = line.scheme
LEFT JOIN spelling AS method ON method.kind = 'method' AND method.text = line.method
LEFT JOIN spelling AS benchmark ON benchmark.kind = 'benchmark' AND benchmark.text = line.benchmark
LEFT JOIN models AS model ON model.load_id = $load_id AND model.model_id = line.repo

-- name: add_speed_evidence
-- Measured speeds.
INSERT INTO evidence (load_id, subject, model_label, model_id, family, params, scheme, method, bits, engine, device,
    devices, metric, higher_is_better, value, unit, source_title, source_ref, source_date, flags, detail, recorded_at)
SELECT
    $load_id, 'speed', line.model, nullif(line.repo, ''), lower(model.family), model.params, scheme.canonical,
    method.canonical, try_cast(line.bits AS DOUBLE), coalesce(engine.canonical, line.engine), gpu.canonical,
    try_cast(line.n_gpus AS INTEGER), line.metric, NOT line.metric LIKE '%_ms', try_cast(line.value AS DOUBLE),
    line.metric, line.source_title, line.source_ref, nullif(line.source_date, ''), nullif(line.flags, ''),
    to_json(line), CAST($loaded_at AS TIMESTAMP)
FROM read_csv($path, all_varchar = true, header = true) AS line
LEFT JOIN spelling AS scheme ON scheme.kind = 'scheme' AND scheme.text = line.scheme
LEFT JOIN spelling AS method ON method.kind = 'method' AND method.text = line.method
LEFT JOIN spelling AS engine ON engine.kind = 'engine' AND engine.text = line.engine
LEFT JOIN spelling AS gpu ON gpu.kind = 'gpu' AND gpu.text = line.gpu
LEFT JOIN models AS model ON model.load_id = $load_id AND model.model_id = line.repo

-- name: add_memory_evidence
-- Measured memory figures.
INSERT INTO evidence (load_id, subject, model_label, model_id, family, params, scheme, method, group_size, bits,
    engine, device, devices, metric, value, unit, source_title, source_ref, source_date, flags, detail, recorded_at)
SELECT
    $load_id, 'memory', line.model, nullif(line.repo, ''), lower(model.family), model.params, scheme.canonical,
    method.canonical, try_cast(line.group_size AS INTEGER), try_cast(line.bits AS DOUBLE),
    coalesce(engine.canonical, line.engine), gpu.canonical, try_cast(line.n_gpus AS INTEGER), line.kind,
    try_cast(line.value AS DOUBLE), line.unit, line.source_title, line.source_ref, nullif(line.source_date, ''),
    nullif(line.flags, ''), to_json(line), CAST($loaded_at AS TIMESTAMP)
FROM read_csv($path, all_varchar = true, header = true) AS line
LEFT JOIN spelling AS scheme ON scheme.kind = 'scheme' AND scheme.text = line.scheme
LEFT JOIN spelling AS method ON method.kind = 'method' AND method.text = line.method
LEFT JOIN spelling AS engine ON engine.kind = 'engine' AND engine.text = line.engine
LEFT JOIN spelling AS gpu ON gpu.kind = 'gpu' AND gpu.text = line.gpu
LEFT JOIN models AS model ON model.load_id = $load_id AND model.model_id = line.repo

-- name: add_negative_evidence
-- Configurations that were reported not to work.
INSERT INTO evidence (load_id, subject, model_label, model_id, family, params, scheme, method, group_size, engine,
    metric, source_title, source_ref, source_date, detail, recorded_at)
SELECT
    $load_id, 'negative', line.model, nullif(line.repo, ''), lower(model.family), model.params, scheme.canonical,
    method.canonical, try_cast(line.group_size AS INTEGER), coalesce(engine.canonical, line.engine), line.failure,
    line.message_summary, line.source_ref, nullif(line.source_date, ''), to_json(line),
    CAST($loaded_at AS TIMESTAMP)
FROM read_csv($path, all_varchar = true, header = true) AS line
LEFT JOIN spelling AS scheme ON scheme.kind = 'scheme' AND scheme.text = line.scheme
LEFT JOIN spelling AS method ON method.kind = 'method' AND method.text = line.method
LEFT JOIN spelling AS engine ON engine.kind = 'engine' AND engine.text = line.engine
LEFT JOIN models AS model ON model.load_id = $load_id AND model.model_id = line.repo

-- name: add_size_evidence
-- Measured sizes of quantized checkpoints.
INSERT INTO evidence (load_id, subject, model_label, model_id, family, params, scheme, method, group_size, bits,
    metric, value, unit, source_title, source_ref, source_date, flags, detail, recorded_at)
SELECT
    $load_id, 'size', line.model, nullif(line.repo, ''), lower(model.family), model.params, scheme.canonical,
    method.canonical, try_cast(line.group_size AS INTEGER), try_cast(line.bits AS DOUBLE), 'artifact',
    try_cast(line.value AS DOUBLE), line.unit, line.source_ref, line.source_ref, nullif(line.source_date, ''),
    nullif(line.flags, ''), to_json(line), CAST($loaded_at AS TIMESTAMP)
FROM read_csv($path, all_varchar = true, header = true) AS line
LEFT JOIN spelling AS scheme ON scheme.kind = 'scheme' AND scheme.text = line.scheme
LEFT JOIN spelling AS method ON method.kind = 'method' AND method.text = line.method
LEFT JOIN models AS model ON model.load_id = $load_id AND model.model_id = line.repo

-- name: add_job_evidence
-- What quantization jobs took.
INSERT INTO evidence (load_id, subject, model_label, model_id, family, params, scheme, method, engine, device,
    devices, metric, value, unit, source_title, source_ref, source_date, detail, recorded_at)
SELECT
    $load_id, 'job', line.model, nullif(line.repo, ''), lower(model.family),
    coalesce(model.params, 1e9 * try_cast(line.params_b AS DOUBLE)), scheme.canonical, method.canonical, line.tool,
    gpu.canonical, try_cast(line.n_gpus AS INTEGER), line.outcome, try_cast(line.wall_minutes AS DOUBLE), 'minutes',
    line.source_ref, line.source_ref, nullif(line.source_date, ''), to_json(line), CAST($loaded_at AS TIMESTAMP)
FROM read_csv($path, all_varchar = true, header = true) AS line
LEFT JOIN spelling AS scheme ON scheme.kind = 'scheme' AND scheme.text = line.scheme
LEFT JOIN spelling AS method ON method.kind = 'method' AND method.text = line.method
LEFT JOIN spelling AS gpu ON gpu.kind = 'gpu' AND gpu.text = line.gpu
LEFT JOIN models AS model ON model.load_id = $load_id AND model.model_id = line.repo

-- name: add_efficiencies
-- Share of peak reached: bandwidth in decode, FLOP/s in prefill; one device, one user, dense models.
-- Decode figures count where a step takes at least 3 ms at full bandwidth (below that launch latency is
-- measured) and the prompt is at most 8192 tokens (sources that time the prefill along would drag them down).
-- Grouped by engine, device and width of the weights, wider groups marked '*'.
INSERT INTO efficiencies
WITH figure AS (
    SELECT
        evidence.engine,
        evidence.device,
        CASE evidence.metric WHEN 'decode_tok_s_per_user' THEN 'decode' ELSE 'prefill' END AS metric,
        CASE WHEN evidence.bits < 6 THEN '4 bits' WHEN evidence.bits < 12 THEN '8 bits' ELSE '16 bits' END AS width,
        evidence.source_title,
        evidence.value AS rate,
        (model.params - model.input_embedding_params) * evidence.bits / 8 / accelerator.bandwidth_bytes_per_s
            AS step_seconds,
        2 * model.params / accelerator.fp16_flops AS token_seconds,
        coalesce(try_cast(evidence.detail ->> 'prompt_tokens' AS INTEGER), 0) AS prompt_tokens
    FROM evidence
    JOIN models AS model ON model.load_id = $load_id AND model.model_id = evidence.model_id
    JOIN accelerators AS accelerator ON accelerator.load_id = $load_id AND accelerator.name = evidence.device
    WHERE evidence.subject = 'speed' AND evidence.load_id = $load_id
        AND evidence.metric IN ('decode_tok_s_per_user', 'prefill_tok_s')
        AND coalesce(evidence.devices, 1) = 1 AND evidence.flags IS NULL
        AND coalesce(evidence.detail ->> 'concurrency', '1') = '1'
        AND model.num_experts = 0 AND evidence.bits IS NOT NULL
),
share AS (
    SELECT engine, device, metric, width, source_title, rate * step_seconds AS efficiency
    FROM figure WHERE metric = 'decode' AND step_seconds >= 0.003 AND prompt_tokens <= 8192
    UNION ALL
    SELECT engine, device, metric, width, source_title, rate * token_seconds
    FROM figure WHERE metric = 'prefill' AND prompt_tokens >= 128
)
SELECT $load_id, engine, coalesce(device, '*'), metric, coalesce(width, '*'), quantile_cont(efficiency, 0.05),
    quantile_cont(efficiency, 0.5), quantile_cont(efficiency, 0.95), count(*), list_sort(list(DISTINCT source_title))
FROM share
WHERE efficiency BETWEEN 0.01 AND 1.3
GROUP BY GROUPING SETS ((engine, device, metric, width), (engine, metric, width), (engine, metric))

-- name: list_words
-- Every distinct spelling in the evidence files, by kind.
WITH line AS (FROM read_csv($paths, all_varchar = true, header = true, union_by_name = true))
SELECT DISTINCT 'scheme', scheme FROM line
UNION SELECT DISTINCT 'method', method FROM line
UNION SELECT DISTINCT 'benchmark', benchmark FROM line
UNION SELECT DISTINCT 'engine', engine FROM line
UNION SELECT DISTINCT 'gpu', gpu FROM line
ORDER BY ALL

-- name: begin_spellings
-- Words of this load, read once, for the joins above.
CREATE OR REPLACE TEMP TABLE spelling (kind VARCHAR, text VARCHAR, canonical VARCHAR)

-- name: add_spellings
-- Fill the words in one statement.
INSERT INTO spelling SELECT unnest($kinds), unnest($texts), unnest($canonicals)
