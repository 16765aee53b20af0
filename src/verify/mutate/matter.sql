-- What mutation can change in the schemas $1 and in what their policies and triggers call, as one JSON object; with the
-- rights of the roles $2.
with tables as (
    select c.oid, c.relname, n.nspname, c.relkind, c.relrowsecurity, c.relforcerowsecurity, c.relacl, c.relowner, c.reloptions
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = any ($1) and c.relkind in ('r', 'p', 'v')
),
-- functions of these schemas, and whatever else policies and triggers there call
functions as (
    select f.oid from pg_proc f join pg_namespace n on n.oid = f.pronamespace where n.nspname = any ($1)
  union
    select d.refobjid
    from pg_depend d
    join pg_policy p on p.oid = d.objid
    join tables on tables.oid = p.polrelid
    where d.classid = 'pg_policy'::regclass and d.refclassid = 'pg_proc'::regclass
  union
    select t.tgfoid from pg_trigger t join tables on tables.oid = t.tgrelid where not t.tgisinternal
)
select json_build_object(
    'tables', (
        select coalesce(json_agg(json_build_object(
            'schema', t.nspname,
            'table', t.relname,
            'view', t.relkind = 'v',
            'invoker', exists (
                select from unnest(t.reloptions) o
                where o in ('security_invoker=true', 'security_invoker=on', 'security_invoker=1')
            ),
            'enabled', t.relrowsecurity,
            'forced', t.relforcerowsecurity,
            'rights', coalesce((
                select json_agg(json_build_array(r.rolname, v.privilege) order by r.rolname, v.place)
                from pg_roles r
                cross join unnest(array['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE'])
                    with ordinality v(privilege, place)
                where r.rolname = any ($2) and has_table_privilege(r.oid, t.oid, v.privilege)
            ), '[]'::json),
            'columns_granted', coalesce((
                select json_agg(json_build_array(r.rolname, v.privilege, a.attname))
                from pg_roles r
                cross join unnest(array['SELECT', 'INSERT', 'UPDATE']) v(privilege)
                join pg_attribute a on a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped
                where r.rolname = any ($2) and has_column_privilege(r.oid, t.oid, a.attnum, v.privilege)
            ), '[]'::json)
        ) order by t.nspname, t.relname), '[]'::json)
        from tables t
    ),
    'policies', (
        select coalesce(json_agg(json_build_object(
            'schema', t.nspname,
            'table', t.relname,
            'name', p.polname,
            'permissive', p.polpermissive,
            'command', case p.polcmd when 'r' then 'SELECT' when 'a' then 'INSERT' when 'w' then 'UPDATE'
                when 'd' then 'DELETE' else 'ALL' end,
            'roles', case when 0 = any (p.polroles) then '[]'::json else (
                select json_agg(r.rolname order by r.rolname) from pg_roles r where r.oid = any (p.polroles)
            ) end,
            'using', pg_get_expr(p.polqual, p.polrelid),
            'check', pg_get_expr(p.polwithcheck, p.polrelid)
        ) order by t.nspname, t.relname, p.polname), '[]'::json)
        from pg_policy p
        join tables t on t.oid = p.polrelid
    ),
    'columns', (
        select coalesce(json_agg(json_build_object(
            'schema', n.nspname,
            'table', c.relname,
            'columns', (
                select json_agg(json_build_array(a.attname, format_type(a.atttypid, null)) order by a.attnum)
                from pg_attribute a
                where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
            )
        ) order by n.nspname, c.relname), '[]'::json)
        from pg_class c
        join pg_namespace n on n.oid = c.relnamespace
        where c.relkind in ('r', 'p', 'v', 'm', 'f') and n.nspname <> 'information_schema'
          and n.nspname not like 'pg\_%'
    ),
    'functions', (
        select coalesce(json_agg(json_build_object(
            'schema', n.nspname,
            'signature', format('%I.%I(%s)', n.nspname, f.proname, pg_get_function_identity_arguments(f.oid)),
            'trigger', f.prorettype = 'trigger'::regtype,
            'definer', f.prosecdef,
            'search_path', exists (select from unnest(f.proconfig) c where c like 'search\_path=%'),
            'public', has_function_privilege('public', f.oid, 'EXECUTE'),
            'callers', coalesce((
                select json_agg(json_build_array(tables.nspname, tables.relname) order by tables.nspname, tables.relname)
                from tables
                where exists (
                    select from pg_policy p
                    join pg_depend d on d.classid = 'pg_policy'::regclass and d.objid = p.oid
                    where p.polrelid = tables.oid and d.refclassid = 'pg_proc'::regclass and d.refobjid = f.oid
                ) or exists (select from pg_trigger t where t.tgrelid = tables.oid and t.tgfoid = f.oid)
            ), '[]'::json),
            'roles', coalesce((
                select json_agg(r.rolname order by r.rolname)
                from pg_roles r
                where r.rolname = any ($2) and has_function_privilege(r.oid, f.oid, 'EXECUTE')
            ), '[]'::json)
        ) order by n.nspname, f.oid::regprocedure::text), '[]'::json)
        from functions
        join pg_proc f on f.oid = functions.oid and f.prokind = 'f' and f.prolang <> 12 and f.prolang <> 13
        join pg_namespace n on n.oid = f.pronamespace and n.nspname not in ('pg_catalog', 'auth', 'extensions')
    ),
    'triggers', (
        select coalesce(json_agg(json_build_object('schema', t.nspname, 'table', t.relname, 'name', g.tgname)
            order by t.nspname, t.relname, g.tgname), '[]'::json)
        from pg_trigger g
        join tables t on t.oid = g.tgrelid
        where not g.tgisinternal and g.tgenabled in ('O', 'A')
    ),
    'keys', (
        select coalesce(json_agg(json_build_object(
            'schema', t.nspname,
            'table', t.relname,
            'name', k.conname,
            'columns', (
                select json_agg(a.attname order by c.place)
                from unnest(k.conkey) with ordinality c(attnum, place)
                join pg_attribute a on a.attrelid = k.conrelid and a.attnum = c.attnum
            ),
            'target_schema', fn.nspname,
            'target_table', f.relname,
            'target_columns', (
                select json_agg(a.attname order by c.place)
                from unnest(k.confkey) with ordinality c(attnum, place)
                join pg_attribute a on a.attrelid = k.confrelid and a.attnum = c.attnum
            ),
            'on_delete', k.confdeltype
        ) order by t.nspname, t.relname, k.conname), '[]'::json)
        from pg_constraint k
        join tables t on t.oid = k.conrelid
        join pg_class f on f.oid = k.confrelid
        join pg_namespace fn on fn.oid = f.relnamespace
        where k.contype = 'f' and k.conparentid = 0
    )
)::text
