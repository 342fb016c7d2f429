-- The shop as it grew: one name column, prices as text, a status anyone may misspell.
CREATE TABLE users (
    id bigserial PRIMARY KEY,
    email text NOT NULL UNIQUE,
    full_name text NOT NULL,
    bio text,
    newsletter text NOT NULL DEFAULT 'no',
    created_at timestamp NOT NULL DEFAULT now()
);

CREATE TABLE products (
    id serial PRIMARY KEY,
    title text NOT NULL,
    price text NOT NULL,
    tags text
);

CREATE TABLE orders (
    id bigserial PRIMARY KEY,
    user_id bigint NOT NULL REFERENCES users,
    state text NOT NULL,
    placed_at timestamp NOT NULL
);
CREATE INDEX orders_user_id ON orders (user_id);

CREATE TABLE order_items (
    id bigserial PRIMARY KEY,
    order_id bigint NOT NULL REFERENCES orders,
    product_id integer NOT NULL REFERENCES products,
    qty integer NOT NULL,
    unit_price text NOT NULL
);
CREATE INDEX order_items_order_id ON order_items (order_id);

CREATE TABLE page_views (
    id bigserial PRIMARY KEY,
    user_id bigint REFERENCES users,
    path text NOT NULL,
    data json,
    viewed_at timestamp NOT NULL
);
CREATE INDEX page_views_viewed_at ON page_views (viewed_at);
