-- What the migrating role's new objects are granted by default. Other makers' defaults say nothing of our objects.
, entry (kind, namespace, acl) as (
    select d.defaclobjtype, d.defaclnamespace, d.defaclacl
    from pg_default_acl d
    join pg_roles r on r.oid = d.defaclrole and r.rolname = current_setting('chartchek_db.migrator')
    union all
    -- without an entry for all schemas, what PostgreSQL does by itself; an entry for one schema only adds
    select k.kind, 0::oid, acldefault(case k.kind when 'S' then 's' else k.kind end, r.oid)
    from pg_roles r
    cross join unnest(array['r', 'S', 'f', 'T', 'n']::"char"[]) k (kind)
    where r.rolname = current_setting('chartchek_db.migrator')
      and not exists (
          select from pg_default_acl d where d.defaclrole = r.oid and d.defaclnamespace = 0 and d.defaclobjtype = k.kind
      )
)
select 'default privileges', format('on %s%s to %s', lower(x.objects), coalesce(' in schema ' || m.name, ''), x.grantee), '', '', x.shown,
    concat_ws(';' || E'\n',
        format('ALTER DEFAULT PRIVILEGES FOR ROLE @migrator@%s GRANT ', x.in_schema) || x.plain || format(' ON %s TO %s', x.objects, x.grantee),
        format('ALTER DEFAULT PRIVILEGES FOR ROLE @migrator@%s GRANT ', x.in_schema) || x.grantable || format(' ON %s TO %s WITH GRANT OPTION', x.objects, x.grantee)),
    format('ALTER DEFAULT PRIVILEGES FOR ROLE @migrator@%s REVOKE ALL ON %s FROM %s', x.in_schema, x.objects, x.grantee)
from entry e
left join managed m on m.oid = e.namespace
cross join lateral (
    select case e.kind when 'r' then 'TABLES' when 'S' then 'SEQUENCES' when 'f' then 'FUNCTIONS' when 'T' then 'TYPES' else 'SCHEMAS' end as objects,
        coalesce(' IN SCHEMA ' || m.name, '') as in_schema, who.name as grantee,
        string_agg(a.privilege_type || case when a.is_grantable then ' with grant option' else '' end, ', ' order by a.privilege_type) as shown,
        string_agg(a.privilege_type, ', ') filter (where not a.is_grantable) as plain,
        string_agg(a.privilege_type, ', ') filter (where a.is_grantable) as grantable
    from aclexplode(e.acl) a
    join who on who.oid = a.grantee
    where a.privilege_type <> 'MAINTAIN' or current_setting('chartchek_db.major')::int >= 17
    group by who.name
) x
where e.namespace = 0 or m.oid is not null
