-- Rows for the old shop. The setting shop.users says how many users there are; the rest follows in the proportions of a
-- real one. With psql: PGOPTIONS='-c shop.users=1000' psql -f rows.sql
-- 1 user : 0.02 products : 4 orders : 16 order items : 100 page views.
CREATE TEMPORARY TABLE scale AS SELECT current_setting('shop.users')::bigint AS users;

INSERT INTO users (email, full_name, bio, newsletter, created_at)
SELECT 'user' || i || '@example.com',
       (ARRAY['Ada', 'Grace', 'Edsger', 'Barbara', 'Donald', 'Margaret'])[1 + i % 6] || ' '
           || (ARRAY['van Dijk', 'Hopper', 'Liskov', 'O''Neil', 'Müller', 'Nguyễn'])[1 + i % 7 % 6] || i,
       CASE WHEN i % 3 = 0 THEN 'Bio of user ' || i || ', since ' || 2000 + i % 25 END,
       CASE WHEN i % 4 = 0 THEN 'yes' ELSE 'no' END,
       timestamp '2020-01-01' + i * interval '97 seconds'
FROM generate_series(1::bigint, (SELECT users FROM scale)) AS i;

INSERT INTO products (title, price, tags)
SELECT 'Product ' || i, (5 + i % 400)::text || '.' || lpad((i * 7 % 100)::text, 2, '0'), 'tag' || i % 9 || ',tag' || i % 13
FROM generate_series(1, greatest((SELECT users FROM scale) / 50, 1)) AS i;

INSERT INTO orders (user_id, state, placed_at)
SELECT 1 + i * 7919 % (SELECT users FROM scale), (ARRAY['NEW', 'paid', 'Shipped', 'returned'])[1 + i % 4],
       timestamp '2021-01-01' + i * interval '31 seconds'
FROM generate_series(1::bigint, (SELECT users FROM scale) * 4) AS i;

INSERT INTO order_items (order_id, product_id, qty, unit_price)
SELECT 1 + i % ((SELECT users FROM scale) * 4), 1 + i * 31 % greatest((SELECT users FROM scale) / 50, 1), 1 + i % 5, (5 + i % 400)::text || '.50'
FROM generate_series(1::bigint, (SELECT users FROM scale) * 16) AS i;

INSERT INTO page_views (user_id, path, data, viewed_at)
SELECT CASE WHEN i % 5 > 0 THEN 1 + i * 104729 % (SELECT users FROM scale) END, '/product/' || i % 1000,
       CASE WHEN i % 10 = 0 THEN json_build_object('ref', 'campaign' || i % 20, 'ms', i % 900) END,
       timestamp '2023-01-01' + i * interval '1 second'
FROM generate_series(1::bigint, (SELECT users FROM scale) * 100) AS i;

DROP TABLE scale;
ANALYZE;
