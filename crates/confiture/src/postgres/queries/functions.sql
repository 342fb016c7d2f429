-- Users' functions of these names, and functions behind users' operators and casts: the name, the signature, a digest of
-- what it computes, its text, and the names of functions that it is known to need. $1: names; $2: operators; $3: whether
-- casts are wanted, but for those of extensions.
SELECT proc.proname::pg_catalog.text AS name,
       pg_catalog.format('%I.%I(%s)', namespace.nspname, proc.proname, pg_catalog.pg_get_function_identity_arguments(proc.oid)) AS signature,
       pg_catalog.md5(pg_catalog.concat_ws(E'\x01', language.lanname, proc.prosrc, proc.probin, body.text,
           pg_catalog.format_type(proc.prorettype, NULL), proc.proisstrict, proc.prosecdef, proc.proconfig::pg_catalog.text,
           pg_catalog.pg_get_function_arguments(proc.oid), aggregate.detail)) AS digest,
       pg_catalog.concat_ws(E'\n', proc.prosrc, body.text) AS text,
       coalesce((
           SELECT pg_catalog.array_agg(needed.proname::pg_catalog.text)
           FROM pg_catalog.pg_depend AS depend
           LEFT JOIN pg_catalog.pg_operator AS operator
               ON depend.refclassid = 'pg_catalog.pg_operator'::pg_catalog.regclass AND operator.oid = depend.refobjid
           JOIN pg_catalog.pg_proc AS needed
               ON needed.oid = CASE WHEN depend.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass THEN depend.refobjid
                                    ELSE operator.oprcode END
           WHERE depend.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND depend.objid = proc.oid
       ), '{}') AS needs
FROM pg_catalog.pg_proc AS proc
JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = proc.pronamespace
JOIN pg_catalog.pg_language AS language ON language.oid = proc.prolang
CROSS JOIN LATERAL (SELECT pg_catalog.pg_get_function_sqlbody(proc.oid)) AS body (text)
LEFT JOIN LATERAL (
    SELECT aggregate::pg_catalog.text FROM pg_catalog.pg_aggregate AS aggregate WHERE aggregate.aggfnoid = proc.oid
) AS aggregate (detail) ON true
WHERE proc.oid IN (
    SELECT named.oid FROM pg_catalog.pg_proc AS named WHERE named.proname = ANY ($1::pg_catalog.text[])
    UNION ALL
    SELECT operator.oprcode FROM pg_catalog.pg_operator AS operator WHERE operator.oprname = ANY ($2::pg_catalog.text[])
    UNION ALL
    SELECT pg_cast.castfunc FROM pg_catalog.pg_cast
    WHERE $3 AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_depend AS member
        WHERE member.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND member.objid = pg_cast.castfunc AND member.deptype = 'e')
)
AND namespace.nspname NOT IN ('pg_catalog', 'information_schema')
ORDER BY proc.proname, proc.oid;
