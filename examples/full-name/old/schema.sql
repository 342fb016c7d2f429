-- The application as it is: one column holds the whole name.
CREATE TABLE public.users (
    id bigserial PRIMARY KEY,
    email text NOT NULL UNIQUE,
    full_name text NOT NULL,
    bio text,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX idx_users_full_name ON public.users (full_name);

INSERT INTO public.users (email, full_name, bio)
SELECT
    'user' || i || '@example.com',
    CASE i % 6
        WHEN 0 THEN 'John Doe'
        WHEN 1 THEN 'Mary Jane Watson'
        WHEN 2 THEN 'Madonna'
        WHEN 3 THEN '  Spaced  Out  '
        WHEN 4 THEN 'John van der Berg'
        WHEN 5 THEN ''
    END,
    CASE WHEN i % 3 = 0 THEN 'Something about user ' || i END
FROM generate_series(1, 20000) AS i;

ANALYZE public.users;
