-- The server and the session's role, as one JSON object.
select json_build_object(
    'version', current_setting('server_version'),
    'version_num', current_setting('server_version_num')::int,
    'user', current_user::text,
    'superuser', r.rolsuper,
    'bypass_rls', r.rolbypassrls or r.rolsuper,
    'read_only', pg_is_in_recovery() or current_setting('default_transaction_read_only')::bool,
    'exposed_schemas', (
        select substr(s.setting, length('pgrst.db_schemas=') + 1)
        from pg_db_role_setting d, unnest(d.setconfig) s(setting)
        where s.setting like 'pgrst.db\_schemas=%'
        order by d.setdatabase desc, d.setrole desc limit 1
    ),
    'pre_request', (
        select nullif(substr(s.setting, length('pgrst.db_pre_request=') + 1), '')
        from pg_db_role_setting d, unnest(d.setconfig) s(setting)
        where s.setting like 'pgrst.db\_pre\_request=%'
        order by d.setdatabase desc, d.setrole desc limit 1
    ),
    'old_pg_stats_ext', exists (
        select 1 from pg_class c
        where c.relnamespace = 'pg_catalog'::regnamespace and c.relname in ('pg_stats_ext', 'pg_stats_ext_exprs')
          and pg_get_viewdef(c.oid) !~ '\mpg_has_role\M'
    )
)::text
from pg_roles r
where r.rolname = current_user
