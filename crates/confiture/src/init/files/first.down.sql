-- Migration: first
-- Version: VERSION
-- confiture: loses-data all tables

drop function calculate_score(bigint);
drop view user_stats;
drop function display_name(text, text);
drop table posts;
drop table users;
drop type post_status;
