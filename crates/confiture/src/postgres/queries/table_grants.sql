-- Who may read and write the tables $1 (OIDs): table, role (`public` for everybody), privilege, and whether it is one of some
-- columns only. Superusers may everything, everywhere.
SELECT DISTINCT granted.oid, coalesce(role.rolname::text, 'public'), granted.privilege_type, granted.of_columns
FROM (
    SELECT class.oid, acl.grantee, acl.privilege_type, false AS of_columns
    FROM pg_catalog.pg_class AS class
    CROSS JOIN LATERAL pg_catalog.aclexplode(coalesce(class.relacl, pg_catalog.acldefault('r', class.relowner))) AS acl
    WHERE class.oid = ANY ($1::pg_catalog.oid[])
    UNION ALL
    SELECT attribute.attrelid, acl.grantee, acl.privilege_type, true
    FROM pg_catalog.pg_attribute AS attribute
    CROSS JOIN LATERAL pg_catalog.aclexplode(attribute.attacl) AS acl
    WHERE attribute.attrelid = ANY ($1::pg_catalog.oid[]) AND NOT attribute.attisdropped
) AS granted
LEFT JOIN pg_catalog.pg_roles AS role ON role.oid = granted.grantee
WHERE granted.privilege_type IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
  AND (granted.grantee = 0 OR (role.rolname IS NOT NULL AND NOT role.rolsuper))
ORDER BY 2, 1, 3;
