-- severity: warning
-- reach: api
-- condition: PUBLIC may call a function of an exposed schema, as PostgreSQL lets it unless told otherwise.
-- effect: it is an endpoint for everybody, with or without a token
-- remedy: revoke EXECUTE from PUBLIC, and grant it to the role that is meant

select f.shown, format('everybody may call %s', f.shown), format('REVOKE EXECUTE ON %s %s FROM PUBLIC;', upper(f.kind), f.name), null
from function f
where f.exposed and not f.is_trigger and not f.prosecdef
  and (f.proacl is null or exists (select from aclexplode(f.proacl) g where g.grantee = 0))
