-- severity: error
-- reach: api
-- condition: A client role may call a function of an exposed schema that runs text as SQL, or sets a parameter or the role.
-- effect: who can run SQL, or set request.jwt.claims, can be any user
-- remedy: revoke EXECUTE from clients, or write the statement out without EXECUTE and set_config

select f.shown, format('%s can be told what to run', f.shown),
    format('REVOKE EXECUTE ON %s %s FROM PUBLIC, %s;', upper(f.kind), f.name, string_agg(quote_ident(c.rolname), ', ' order by c.rolname)),
    format('called by %s', string_agg(c.rolname, ', ' order by c.rolname))
from function f
join client c on has_function_privilege(c.oid, f.oid, 'EXECUTE')
where f.exposed and not f.is_trigger and f.lanname not in ('c', 'internal')
  and f.source ~* '\mexecute\M(?!\s+(function|procedure)\M)|\mset_config\s*\(|\mset\s+(local\s+|session\s+)?(role|session\s+authorization)\M|\mquery_to_xml'
group by f.shown, f.name, f.kind
