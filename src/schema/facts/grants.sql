-- Grants on schemas, tables, columns, sequences, functions, types and the database; a missing list of rights is read
-- as the default that it stands for.
, held (target, shown, columns, parent, owner, acl) as (
    select 'SCHEMA ' || m.name, 'schema ' || m.name, '', 'schema ' || m.name, m.nspowner, coalesce(m.nspacl, acldefault('n', m.nspowner)) from managed m
    union all
    select case when rel.relkind = 'S' then 'SEQUENCE ' else 'TABLE ' end || rel.name, rel.kind || ' ' || rel.name, '', rel.kind || ' ' || rel.name, rel.relowner,
        coalesce(rel.relacl, acldefault(case when rel.relkind = 'S' then 's' else 'r' end::"char", rel.relowner))
    from rel
    union all
    select 'TABLE ' || rel.name, format('column %s.%I', rel.name, a.attname), format('(%I)', a.attname),
        case when rel.relkind in ('r', 'p', 'f') then format('column %s.%I', rel.name, a.attname) else rel.kind || ' ' || rel.name end, rel.relowner, a.attacl
    from rel
    join pg_attribute a on a.attrelid = rel.oid and a.attnum > 0 and not a.attisdropped and a.attacl is not null
    union all
    select case when fun.prokind = 'p' then 'PROCEDURE ' else 'FUNCTION ' end || fun.name, fun.kind || ' ' || fun.name, '', fun.kind || ' ' || fun.name, fun.proowner,
        coalesce(fun.proacl, acldefault('f', fun.proowner))
    from fun
    union all
    select 'TYPE ' || typ.name, typ.kind || ' ' || typ.name, '', typ.kind || ' ' || typ.name, typ.typowner, coalesce(typ.typacl, acldefault('T', typ.typowner)) from typ
    union all
    select 'DATABASE @database@', 'the database', '', '', d.datdba, coalesce(d.datacl, acldefault('d', d.datdba)) from pg_database d where d.datname = current_database()
),
granted as (
    select h.target, h.shown, h.columns, h.parent, case when x.grantee = h.owner then '@owner@' else who.name end as grantee,
        string_agg(distinct x.privilege_type, ', ') filter (where not x.is_grantable) as plain,
        string_agg(distinct x.privilege_type, ', ') filter (where x.is_grantable) as grantable,
        string_agg(distinct x.privilege_type || h.columns, ', ') filter (where not x.is_grantable) as plain_clause,
        string_agg(distinct x.privilege_type || h.columns, ', ') filter (where x.is_grantable) as grantable_clause
    from held h
    cross join lateral aclexplode(h.acl) x
    join who on who.oid = x.grantee
    left join pg_roles r on r.oid = x.grantee
    -- a right that the other server's version may not know
    where (x.privilege_type <> 'MAINTAIN' or current_setting('chartchek_db.major')::int >= 17)
      -- the platform's own schema and database: only the API's roles, and those that nobody knows
      and (h.target not in ('SCHEMA public') or not (x.grantee = h.owner or who.name = '@migrator@' or coalesce(r.rolsuper, false)
            or coalesce(r.rolname, '') ~ '^(supabase_|pg_|dashboard_user$|pgbouncer$|pgsodium|postgres$)'))
      and (h.shown <> 'the database' or x.grantee = 0 or r.rolname = any (current_setting('chartchek_db.roles')::text[]))
    group by 1, 2, 3, 4, 5
)
select 'grant', format('on %s to %s', g.shown, g.grantee), g.parent, '',
    concat_ws(', ', g.plain, g.grantable || ' with grant option'),
    concat_ws(';' || E'\n', 'GRANT ' || g.plain_clause || ' ON ' || g.target || ' TO ' || g.grantee,
        'GRANT ' || g.grantable_clause || ' ON ' || g.target || ' TO ' || g.grantee || ' WITH GRANT OPTION'),
    format('REVOKE ALL PRIVILEGES%s ON %s FROM %s', case when g.columns = '' then '' else ' ' || g.columns end, g.target, g.grantee)
from granted g
