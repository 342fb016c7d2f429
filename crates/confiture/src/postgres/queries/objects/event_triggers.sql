SELECT 'event trigger' AS kind, 'pg_event_trigger' AS class, e.oid, 0 AS sub, json_build_object(
    'name', e.evtname, 'identity', quote_ident(e.evtname), 'phrase', format('EVENT TRIGGER %I', e.evtname),
    'create', format('CREATE EVENT TRIGGER %I ON %s%s EXECUTE FUNCTION %s()', e.evtname, e.evtevent, (SELECT ' WHEN TAG IN (' || string_agg(quote_literal(t), ', ') || ')' FROM unnest(e.evttags) t), e.evtfoid::regproc),
    'drop', format('DROP EVENT TRIGGER %I', e.evtname), 'owner', pg_get_userbyid(e.evtowner),
    'facets', json_build_object('enabled', json_build_array(e.evtenabled, format('ALTER EVENT TRIGGER %I %s', e.evtname,
        CASE e.evtenabled WHEN 'D' THEN 'DISABLE' WHEN 'A' THEN 'ENABLE ALWAYS' WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'ENABLE' END), e.evtenabled = 'O'))) AS body
FROM pg_event_trigger e
