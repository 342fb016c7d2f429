WITH customer AS (
    INSERT INTO customers (full_name, mail)
    SELECT 'Ada No. ' || n, 'ada' || n || '@example.com'
    FROM generate_series(1, greatest($1::bigint / 10, 1)) AS n
    RETURNING id
)
INSERT INTO orders (customer, total_cents, note)
SELECT 1 + n % greatest($1::bigint / 10, 1), (n * 7919 % 100000)::integer, CASE WHEN n % 5 = 0 THEN 'as a gift' END
FROM generate_series(1, $1::bigint) AS n
