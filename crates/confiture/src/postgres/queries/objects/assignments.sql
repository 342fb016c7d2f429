SELECT 'assignment' AS kind, 'assignment' AS class, c.oid, 0 AS sub, json_build_array(format_type(c.castsource, NULL), format_type(c.casttarget, NULL), c.castcontext) AS body
FROM pg_cast c
