-- severity: error
-- reach: api
-- condition: A policy, or a function that it calls, reads a header, a cookie, a setting other than the token's, the login role or the client's address.
-- effect: headers and cookies are whatever the client sends; the login role and the address are the API server's, not the user's
-- remedy: decide by the token's claims, which are signed: auth.uid(), auth.jwt()

select p.shown, format('policy %s reads what does not say who asks', p.name), '',
    coalesce('through ' || string_agg(distinct f.shown, ', '), 'in its condition')
from policy p
left join call c on c.policy = p.oid
left join function f on f.oid = c.function and f.source ~* 'current_setting\s*\(\s*''(?!request\.jwt)|\msession_user\M|\minet_client_addr\M'
where concat(p.using_text, ' ', p.check_text) ~* 'current_setting\(''(?!request\.jwt)|\msession_user\M|\minet_client_addr\M'
   or f.oid is not null
group by p.shown, p.name
