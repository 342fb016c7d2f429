-- 20_ comes after 10_: the table that a foreign key points to must be there first.

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
