-- Every role that is not PostgreSQL's own, or that authenticator can assume, as one JSON array. $1: the exposed
-- schemas. $2: the contract's roles, whose settings a request starts with.
with api as (
    select oid from pg_roles where rolname = 'authenticator' and not rolsuper
),
exposed as (
    select c.oid, c.relname, c.relowner, n.nspname, n.oid as schema, n.nspowner
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = any ($1) and c.relkind in ('r', 'p', 'v', 'm', 'f')
)
select coalesce(json_agg(json_build_object(
    'name', r.rolname,
    'superuser', r.rolsuper,
    'bypass_rls', r.rolbypassrls,
    'assumable', pg_has_role(current_user, r.oid, 'MEMBER'),
    'settings', case when r.rolname = any ($2) then coalesce((
        -- as PostgREST reads them: the role's own settings, those of this database last, and of these only what any
        -- role may set
        select json_agg(json_build_array(split_part(s.setting, '=', 1), substr(s.setting, strpos(s.setting, '=') + 1))
                        order by d.setdatabase)
        from pg_db_role_setting d, unnest(d.setconfig) s(setting)
        left join pg_settings p on p.name = split_part(s.setting, '=', 1)
        where d.setrole = r.oid
          and d.setdatabase in (0, (select oid from pg_database where datname = current_database()))
          and coalesce(p.context = 'user', true)
    ), '[]'::json) else '[]'::json end,
    'assumed_by_api', coalesce(api.assumes, false),
    -- Of roles that a client can be and that no actor is. Who runs migrations or the platform is trusted, unless a
    -- request can become it. What a group gives is tried as its members, unless a restrictive policy may hold for these
    -- alone; what PUBLIC is granted, everybody has.
    'reaches', case when r.rolname = any ($2) or (
        exists (select from pg_roles a where a.rolname = any ($2) and pg_has_role(a.oid, r.oid, 'USAGE'))
        and not exists (select from pg_policy p join exposed e on e.oid = p.polrelid where not p.polpermissive)
    ) or not (
        coalesce(api.assumes, false)
        or r.rolcanlogin
            and not r.rolsuper
            and r.rolname <> current_user
            and not exists (select from exposed where r.oid in (relowner, nspowner))
            and not exists (select from pg_database where datname = current_database() and datdba = r.oid)
            and r.rolname not like 'supabase\_%'
            and r.rolname not in ('postgres', 'pgbouncer', 'dashboard_user')
            -- the stand-in's own postgres, where another superuser migrates
            and not (r.rolname = 'migrator' and coalesce(
                shobj_description(r.oid, 'pg_authid') = 'made by chartchek-db (stand-in for Supabase)', false))
    ) then '[]'::json else coalesce((
        select json_agg(json_build_object('schema', e.nspname, 'table', e.relname, 'commands', may.commands)
                        order by e.nspname, e.relname)
        from exposed e
        cross join lateral (
            select json_agg(lower(p.privilege)) as commands
            from unnest(array['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) p(privilege)
            where has_table_privilege(r.oid, e.oid, p.privilege) and not has_table_privilege('public', e.oid, p.privilege)
               or p.privilege in ('SELECT', 'INSERT', 'UPDATE', 'REFERENCES')
                  and has_any_column_privilege(r.oid, e.oid, p.privilege)
                  and not has_any_column_privilege('public', e.oid, p.privilege)
        ) may
        where may.commands is not null and has_schema_privilege(r.oid, e.schema, 'USAGE')
    ), '[]'::json) end
) order by r.rolname), '[]'::json)::text
from pg_roles r
left join lateral (
    select bool_or(pg_has_role(api.oid, r.oid, 'MEMBER')) as assumes from api
) api on true
where r.rolname not like 'pg\_%' or api.assumes
