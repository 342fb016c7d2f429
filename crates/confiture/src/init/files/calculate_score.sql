-- Functions that come last: they may read from every table and view.

create function calculate_score(user_id bigint) returns bigint
    language sql stable
    return (select 10 * published_posts + (posts - published_posts) from user_stats where id = user_id);
