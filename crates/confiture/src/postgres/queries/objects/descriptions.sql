SELECT 'description' AS kind, d.classoid::regclass::text AS class, d.objoid AS oid, d.objsubid AS sub, json_build_object('comment', d.description) AS body
FROM pg_description d WHERE d.objoid >= 16384 OR d.classoid = 'pg_namespace'::regclass OR d.classoid = 'pg_extension'::regclass
UNION ALL
SELECT 'security label', l.classoid::regclass::text, l.objoid, l.objsubid, json_build_object('comment', format('%s: %s', l.provider, l.label)) FROM pg_seclabel l WHERE l.objoid >= 16384
