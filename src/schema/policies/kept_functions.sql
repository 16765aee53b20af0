-- The functions that something still needs, written as the facts write them: with an empty search_path, for a moment.
SAVEPOINT looked;
SELECT pg_catalog.set_config('search_path', '', true);
SELECT p.oid::regprocedure::text
FROM pg_catalog.pg_proc p
JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  AND EXISTS (
      SELECT FROM pg_catalog.pg_depend d
      WHERE d.refclassid = 'pg_catalog.pg_proc'::regclass AND d.refobjid = p.oid AND d.deptype IN ('n', 'a')
        AND d.classid <> 'pg_catalog.pg_proc'::regclass
  );
ROLLBACK TO looked;
