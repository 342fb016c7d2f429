SELECT 'foreign data wrapper' AS kind, 'pg_foreign_data_wrapper' AS class, w.oid, 0 AS sub, json_build_object(
    'name', w.fdwname, 'identity', quote_ident(w.fdwname), 'phrase', format('FOREIGN DATA WRAPPER %I', w.fdwname), 'definition', '',
    'create', format('CREATE FOREIGN DATA WRAPPER %I%s%s', w.fdwname, CASE WHEN w.fdwhandler <> 0 THEN ' HANDLER ' || w.fdwhandler::regproc END, CASE WHEN w.fdwvalidator <> 0 THEN ' VALIDATOR ' || w.fdwvalidator::regproc END),
    'drop', format('DROP FOREIGN DATA WRAPPER %I', w.fdwname), 'alter', format('ALTER FOREIGN DATA WRAPPER %I', w.fdwname), 'foreign_options', w.fdwoptions,
    'owner', pg_get_userbyid(w.fdwowner), 'acl', w.fdwacl::text[], 'acl_default', acldefault('F', w.fdwowner)::text[],
    'facets', json_build_object(
        'handler', json_build_array(w.fdwhandler::regproc::text, format('ALTER FOREIGN DATA WRAPPER %I %s', w.fdwname, CASE WHEN w.fdwhandler <> 0 THEN 'HANDLER ' || w.fdwhandler::regproc ELSE 'NO HANDLER' END), true),
        'validator', json_build_array(w.fdwvalidator::regproc::text, format('ALTER FOREIGN DATA WRAPPER %I %s', w.fdwname, CASE WHEN w.fdwvalidator <> 0 THEN 'VALIDATOR ' || w.fdwvalidator::regproc ELSE 'NO VALIDATOR' END), true))) AS body
FROM pg_foreign_data_wrapper w WHERE w.oid >= 16384
UNION ALL
SELECT 'server', 'pg_foreign_server', s.oid, 0, json_build_object(
    'name', s.srvname, 'identity', quote_ident(s.srvname), 'phrase', format('SERVER %I', s.srvname), 'definition', format('%s %s', s.srvtype, w.fdwname),
    'create', format('CREATE SERVER %I%s%s FOREIGN DATA WRAPPER %I', s.srvname, ' TYPE ' || quote_literal(s.srvtype), ' VERSION ' || quote_literal(s.srvversion), w.fdwname),
    'drop', format('DROP SERVER %I', s.srvname), 'alter', format('ALTER SERVER %I', s.srvname), 'foreign_options', s.srvoptions,
    'owner', pg_get_userbyid(s.srvowner), 'acl', s.srvacl::text[], 'acl_default', acldefault('S', s.srvowner)::text[],
    'facets', json_build_object('version', json_build_array(s.srvversion, format('ALTER SERVER %I VERSION %s', s.srvname, coalesce(quote_literal(s.srvversion), 'NULL')), true)))
FROM pg_foreign_server s JOIN pg_foreign_data_wrapper w ON w.oid = s.srvfdw
UNION ALL
SELECT 'user mapping', 'pg_user_mapping', u.umid, 0, json_build_object(
    'name', x.identity, 'identity', x.identity, 'phrase', '', 'definition', '',
    'create', 'CREATE USER MAPPING FOR ' || x.identity, 'drop', 'DROP USER MAPPING FOR ' || x.identity, 'alter', 'ALTER USER MAPPING FOR ' || x.identity, 'foreign_options', u.umoptions,
    -- Whom it is for: nobody owns it.
    'owner', CASE u.umuser WHEN 0 THEN NULL ELSE u.usename END,
    'details', json_build_object('named', x.identity, 'own', format('CURRENT_USER SERVER %I', u.srvname)),
    'depends', json_build_array(json_build_array('pg_foreign_server', u.srvid, 0)))
FROM pg_user_mappings u CROSS JOIN LATERAL (SELECT format('%s SERVER %I', CASE u.umuser WHEN 0 THEN 'PUBLIC' ELSE quote_ident(u.usename) END, u.srvname)) AS x(identity)
