create view user_stats as
select
    users.id,
    display_name(users.first_name, users.last_name) as name,
    count(posts.id) as posts,
    count(posts.id) filter (where posts.status = 'published') as published_posts
from users
left join posts on posts.author_id = users.id
group by users.id;
