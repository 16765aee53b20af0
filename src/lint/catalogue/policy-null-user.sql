-- severity: error
-- reach: api
-- condition: A policy compares with IS NOT DISTINCT FROM, or lets a row pass where the user's id IS NULL.
-- effect: a request without a token has no id: NULL equals NULL there, and rows without an owner, or all rows, are open
-- remedy: compare with =, which is never true for NULL

select p.shown, format('policy %s can hold for a request without a token', p.name), '',
    coalesce(case when t.part = 'USING' then p.using_text else p.check_text end, '')
from policy p
join lateral (
    select d.part
    from node d
    where d.policy = p.oid
      and (d.null_test = 0 or d.kind = 'DISTINCTEXPR')
      and exists (
          select from node k
          where k.policy = d.policy and k.part = d.part and k.n > d.n and k.last < d.last and k.kind in ('FUNCEXPR', 'SUBLINK')
      )
    order by d.part
    limit 1
) t on true
where p.polpermissive and p.for_clients
