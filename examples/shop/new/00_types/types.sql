CREATE TYPE order_status AS ENUM ('new', 'paid', 'shipped', 'returned');

CREATE DOMAIN email_address AS text CHECK (VALUE LIKE '%_@_%');
