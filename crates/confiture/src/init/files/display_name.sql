-- Functions that views, defaults or constraints use go here, before 20_views: PostgreSQL looks a function up when it
-- creates the view. Functions that read from views go to 30_functions.

create function display_name(first_name text, last_name text) returns text
    language sql immutable parallel safe
    return trim(first_name || ' ' || last_name);
