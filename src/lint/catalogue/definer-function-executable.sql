-- severity: error
-- reach: api
-- condition: A client role may call a SECURITY DEFINER function of an exposed schema.
-- effect: a request runs it with its owner's rights, past row security
-- remedy: revoke EXECUTE from PUBLIC and the role, or move it to a schema that is not exposed

select f.shown, format('%s acts as its owner for %s', f.shown, string_agg(c.rolname, ', ' order by c.rolname)),
    format('REVOKE EXECUTE ON %s %s FROM PUBLIC, %s;', upper(f.kind), f.name, string_agg(quote_ident(c.rolname), ', ' order by c.rolname)), null
from function f
join client c on has_function_privilege(c.oid, f.oid, 'EXECUTE')
where f.prosecdef and f.exposed and not f.is_trigger
group by f.shown, f.name, f.kind
