-- What the migrating role's new objects are granted by default. Other makers' defaults say nothing of our objects.
select 'default privileges', format('on %s%s to %s', lower(x.objects), coalesce(' in schema ' || m.name, ''), x.grantee), '', '', x.rights,
    format('ALTER DEFAULT PRIVILEGES FOR ROLE @migrator@%s GRANT %s ON %s TO %s', x.in_schema, x.rights, x.objects, x.grantee),
    format('ALTER DEFAULT PRIVILEGES FOR ROLE @migrator@%s REVOKE ALL ON %s FROM %s', x.in_schema, x.objects, x.grantee)
from pg_default_acl d
join pg_roles r on r.oid = d.defaclrole and r.rolname = current_setting('chartchek_db.migrator')
left join managed m on m.oid = d.defaclnamespace
cross join lateral (
    select case d.defaclobjtype when 'r' then 'TABLES' when 'S' then 'SEQUENCES' when 'f' then 'FUNCTIONS' when 'T' then 'TYPES' else 'SCHEMAS' end as objects,
        coalesce(' IN SCHEMA ' || m.name, '') as in_schema, who.name as grantee,
        string_agg(a.privilege_type || case when a.is_grantable then ' with grant option' else '' end, ', ' order by a.privilege_type) as rights
    from aclexplode(d.defaclacl) a
    join who on who.oid = a.grantee
    where a.privilege_type <> 'MAINTAIN' or current_setting('chartchek_db.major')::int >= 17
    group by who.name
) x
where d.defaclnamespace = 0 or m.oid is not null
