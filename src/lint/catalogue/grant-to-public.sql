-- severity: error
-- reach: api
-- condition: PUBLIC holds a right on a relation, or a column, of an exposed schema.
-- effect: every role has it, those that are made later too, and no REVOKE from anon or authenticated takes it away
-- remedy: revoke it from PUBLIC and grant it to the role that is meant

select r.shown, format('%s on %s to PUBLIC', string_agg(distinct g.privilege_type, ', '), r.shown),
    format('REVOKE ALL ON %s %s FROM PUBLIC;', case r.relkind when 'S' then 'SEQUENCE' else 'TABLE' end, r.name), null
from relation r
cross join lateral (
    select privilege_type, grantee from aclexplode(r.relacl)
  union all
    select x.privilege_type, x.grantee from pg_attribute a, aclexplode(a.attacl) x where a.attrelid = r.oid
) g
where r.exposed and g.grantee = 0 and g.privilege_type not in ('TRUNCATE', 'REFERENCES', 'TRIGGER', 'MAINTAIN')
group by r.shown, r.name, r.relkind
