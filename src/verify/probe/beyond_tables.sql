-- What stands beside the application's tables and is not for its users, as far as it is there: relations and functions
-- of Supabase's own schemas, user mappings, subscriptions; with what the roles $2 may do. One JSON object.
-- $1 are the exposed schemas.
with asked as (
    select oid, rolname from pg_roles where rolname = any ($2)
),
guarded(schema) as (
    values ('auth'), ('vault'), ('pgsodium'), ('cron'), ('net'), ('pgmq'), ('supabase_functions'),
           ('supabase_migrations'), ('realtime'), ('storage')
),
relations as (
    select n.nspname, c.relname, n.nspname = any ($1) as exposed, (
        select json_agg(json_build_object('role', roles.rolname, 'rights', roles.rights) order by roles.rolname)
        from (
            select asked.rolname, json_agg(p.privilege order by p.privilege) as rights
            from asked, unnest(array['SELECT', 'INSERT', 'UPDATE', 'DELETE']) p(privilege)
            where has_schema_privilege(asked.oid, n.oid, 'USAGE')
              and (has_table_privilege(asked.oid, c.oid, p.privilege)
                   or p.privilege <> 'DELETE' and has_any_column_privilege(asked.oid, c.oid, p.privilege))
              -- row security without a policy for the role lets nothing through; cron's own policies keep each role
              -- to its own jobs
              and not (c.relrowsecurity and not exists (
                  select from pg_policy pol
                  where pol.polrelid = c.oid and pol.polpermissive and n.nspname <> 'cron'
                    and exists (
                        select from unnest(pol.polroles) r(oid)
                        where r.oid = 0 or pg_has_role(asked.oid, r.oid, 'USAGE'))))
            group by asked.rolname
        ) roles
    ) as held
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    join guarded on guarded.schema = n.nspname
    where c.relkind in ('r', 'p', 'v', 'm', 'f')
      -- these are open on purpose, and what their policies let through is tried
      and (n.nspname, c.relname) not in (('realtime', 'messages'), ('storage', 'objects'), ('storage', 'buckets'))
),
functions as (
    select n.nspname, p.proname, n.nspname = any ($1) as exposed, json_agg(distinct asked.rolname) as roles
    from pg_proc p
    join pg_namespace n on n.oid = p.pronamespace
    cross join asked
    where (n.nspname in ('vault', 'pgsodium', 'cron', 'net', 'pgmq', 'pgbouncer', 'supabase_subscription_mgmt')
           -- whoever asks there is to be answered by their own rights
           or n.nspname in ('graphql', 'graphql_public') and p.prosecdef)
      and has_schema_privilege(asked.oid, n.oid, 'USAGE')
      and has_function_privilege(asked.oid, p.oid, 'EXECUTE')
      and p.prorettype <> 'trigger'::regtype
    group by n.nspname, p.proname
)
select json_build_object(
    'there', (
        select coalesce(json_agg(distinct n.nspname), '[]'::json)
        from pg_namespace n
        where n.nspname in (select schema from guarded)
           or n.nspname in ('graphql', 'graphql_public', 'pgbouncer', 'supabase_subscription_mgmt')
    ),
    'relations', (
        select coalesce(json_agg(json_build_object(
            'schema', nspname, 'name', relname, 'exposed', exposed, 'held', held) order by nspname, relname), '[]'::json)
        from relations
        where held is not null
    ),
    'functions', (
        select coalesce(json_agg(json_build_object(
            'schema', nspname, 'name', proname, 'exposed', exposed, 'roles', roles) order by nspname, proname),
            '[]'::json)
        from functions
    ),
    'messages', to_regclass('realtime.messages') is not null,
    'graphql', (
        select coalesce(json_agg(distinct asked.rolname), '[]'::json)
        from pg_proc p
        join pg_namespace n on n.oid = p.pronamespace
        cross join asked
        where n.nspname in ('graphql', 'graphql_public')
          and has_schema_privilege(asked.oid, n.oid, 'USAGE')
          and has_function_privilege(asked.oid, p.oid, 'EXECUTE')
    ),
    'mappings', (select count(*) from pg_user_mappings),
    'subscriptions', (
        select coalesce(json_agg(distinct asked.rolname), '[]'::json)
        from asked
        where has_column_privilege(asked.oid, 'pg_catalog.pg_subscription', 'subconninfo', 'SELECT')
    )
)::text
