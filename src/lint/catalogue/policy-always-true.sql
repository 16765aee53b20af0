-- severity: error
-- reach: api
-- condition: A permissive policy's condition for clients reads neither the row nor who asks, reading included: a constant, however it is written.
-- effect: the condition holds for everybody and for every row, so that the grant alone decides
-- remedy: name the owner's column in the condition, or accept it for a table that is meant to be read by all

select p.shown, format('%s of policy %s is the same for everyone: %s', t.part, p.name, t.text), '', format('FOR %s', p.command)
from policy p
cross join lateral (values ('USING', p.using_text), ('WITH CHECK', p.check_text)) t (part, text)
where t.text is not null and p.polpermissive and p.for_clients
  and not exists (select from variable v where v.policy = p.oid and v.part = t.part)
  and not exists (select from query q where q.policy = p.oid and q.part = t.part)
  and not exists (
      select from call c join pg_proc f on f.oid = c.function
      where c.policy = p.oid and c.part = t.part and f.provolatile <> 'i'
  )
  and not exists (select from node v where v.policy = p.oid and v.part = t.part and v.kind = 'SQLVALUEFUNCTION')
  and t.text <> 'false'
  -- one finding a policy
  and not (t.part = 'WITH CHECK' and p.using_text is not distinct from p.check_text)
