-- legacy where the migrating role's new tables in public are readable by all three of the API's roles, else explicit.
SELECT CASE WHEN count(DISTINCT g.rolname) = 3 THEN 'legacy' ELSE 'explicit' END
FROM pg_catalog.pg_default_acl d
JOIN pg_catalog.pg_namespace n ON n.oid = d.defaclnamespace AND n.nspname = 'public'
CROSS JOIN LATERAL pg_catalog.aclexplode(d.defaclacl) a
JOIN pg_catalog.pg_roles g ON g.oid = a.grantee AND g.rolname IN ('anon', 'authenticated', 'service_role')
WHERE d.defaclobjtype = 'r' AND a.privilege_type = 'SELECT'
  AND d.defaclrole = coalesce((
      SELECT c.relowner FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace m ON m.oid = c.relnamespace
      WHERE m.nspname = 'chartchek_meta' AND c.relname = 'refinery_schema_history'
  ), (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = current_user))
