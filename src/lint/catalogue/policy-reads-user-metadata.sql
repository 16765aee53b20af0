-- severity: error
-- reach: api
-- condition: A policy, or a function that it calls, reads user_metadata of the token or raw_user_meta_data of the account.
-- effect: every user edits these with one request to the authentication service, and gives themselves what the policy asks for
-- remedy: keep what grants something in app_metadata, which only the service key can change

select p.shown, format('policy %s reads what users write themselves', p.name), '',
    coalesce('through ' || string_agg(distinct f.shown, ', '), 'in its condition')
from policy p
left join call c on c.policy = p.oid
left join function f on f.oid = c.function and f.source ~ '(user_metadata|raw_user_meta_data)'
where concat(p.using_text, p.check_text) ~ '(user_metadata|raw_user_meta_data)' or f.oid is not null
group by p.shown, p.name
