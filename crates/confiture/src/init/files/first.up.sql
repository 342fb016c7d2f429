-- Migration: first
-- Version: VERSION
--
-- What db/schema contains. `confiture build` records it as applied; an empty database gets it from `confiture migrate up`.
-- Later ones are written by `confiture migrate diff --generate --name NAME`, after db/schema was edited.

create type post_status as enum ('draft', 'published', 'archived');

create table users (
    id bigint generated always as identity primary key,
    email text not null unique,
    first_name text not null,
    last_name text not null,
    created_at timestamptz not null default now()
);

comment on table users is 'People who can log in.';

create table posts (
    id bigint generated always as identity primary key,
    author_id bigint not null references users (id) on delete cascade,
    title text not null,
    body text not null default '',
    status post_status not null default 'draft',
    published_at timestamptz,
    constraint published_posts_have_a_date check (status <> 'published' or published_at is not null)
);

create index posts_author_id_idx on posts (author_id);

create function display_name(first_name text, last_name text) returns text
    language sql immutable parallel safe
    return trim(first_name || ' ' || last_name);

create view user_stats as
select
    users.id,
    display_name(users.first_name, users.last_name) as name,
    count(posts.id) as posts,
    count(posts.id) filter (where posts.status = 'published') as published_posts
from users
left join posts on posts.author_id = users.id
group by users.id;

create function calculate_score(user_id bigint) returns bigint
    language sql stable
    return (select 10 * published_posts + (posts - published_posts) from user_stats where id = user_id);
