-- severity: error
-- reach: sql
-- condition: A foreign server has a user mapping for PUBLIC or for a client role.
-- effect: whoever asks logs in over there with the mapping's password
-- remedy: map the one role that needs it

select s.srvname || '.' || m.usename, format('server %s logs %s in', s.srvname, case m.umuser when 0 then 'everybody' else m.usename end),
    format('DROP USER MAPPING FOR %s SERVER %I;', case m.umuser when 0 then 'PUBLIC' else quote_ident(m.usename) end, s.srvname), null
from pg_user_mappings m
join pg_foreign_server s on s.oid = m.srvid
where m.umuser = 0 or m.umuser in (select oid from client)
