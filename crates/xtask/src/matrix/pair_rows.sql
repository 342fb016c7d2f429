INSERT INTO account
SELECT
    i,
    'name ' || i || E' \t\\ é',
    CASE i % 3 WHEN 0 THEN 'calm'::mood WHEN 1 THEN 'glad'::mood END,
    ARRAY['a', NULL, 'b,"c"'],
    jsonb_build_object('i', i, 'text', 'x"y'),
    '2024-03-31 00:30+00'::timestamptz + i * interval '1 hour 1 microsecond'
FROM generate_series(1, 500) AS i;

INSERT INTO event
SELECT
    md5(i::text)::uuid,
    i % 500 + 1,
    CASE WHEN i % 7 = 0 THEN 'NaN'::numeric ELSE i / 7.0 END,
    decode(md5(i::text), 'hex'),
    daterange('2024-01-01'::date, '2024-01-01'::date + i % 30),
    i * interval '1 month 2 days 3 seconds',
    '10.0.0.0'::inet + i
FROM generate_series(1, 3000) AS i;
