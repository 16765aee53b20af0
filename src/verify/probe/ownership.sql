-- What the roles $2 own in this database, as one JSON array of [role, kind, object]; $1 is not used.
select coalesce(json_agg(json_build_array(r.rolname, o.type, o.identity) order by r.rolname, o.type, o.identity),
                '[]'::json)::text
from pg_shdepend d
join pg_roles r on r.oid = d.refobjid
cross join lateral pg_identify_object(d.classid, d.objid, d.objsubid) o
where d.deptype = 'o'
  and d.refclassid = 'pg_authid'::regclass
  and (d.dbid = (select oid from pg_database where datname = current_database())
       or d.classid = 'pg_database'::regclass
          and d.objid = (select oid from pg_database where datname = current_database()))
  and r.rolname = any ($2)
  -- no objects: how a role's new ones would be granted, and who a role is on another server
  and d.classid not in ('pg_default_acl'::regclass, 'pg_user_mapping'::regclass)
  and cardinality($1) > 0
