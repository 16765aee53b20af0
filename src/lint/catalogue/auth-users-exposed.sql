-- severity: error
-- reach: api
-- condition: A view or materialized view within reach of a client role reads auth.users.
-- effect: accounts, their addresses and their metadata are a request away
-- remedy: take the view out of the exposed schema, or keep what is meant to be shown in a table of its own

select r.shown, format('%s shows accounts', r.shown), format('REVOKE ALL ON TABLE %s FROM PUBLIC, %s;', r.name, string_agg(distinct quote_ident(c.rolname), ', ')),
    format('within reach of %s', string_agg(distinct c.rolname, ', '))
from relation r
join client c on has_any_column_privilege(c.oid, r.oid, 'SELECT')
where r.exposed and r.relkind in ('v', 'm') and exists (
    select from pg_rewrite w
    join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = w.oid and d.refclassid = 'pg_class'::regclass
    where w.ev_class = r.oid and d.refobjid = to_regclass('auth.users')
)
group by r.shown, r.name
