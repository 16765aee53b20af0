-- severity: error
-- reach: api
-- condition: anon, or PUBLIC, can read a column of an exposed schema whose name is that of a secret or of an identity number.
-- effect: what should stay with its owner is one policy away from everybody without a token
-- remedy: revoke reading from anon, or grant it by columns and leave this one out

select r.shown || '.' || a.attname, format('anon can read %s.%s', r.shown, a.attname), format('REVOKE SELECT ON TABLE %s FROM PUBLIC, anon;', r.name), null
from relation r
join pg_attribute a on a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped
where r.exposed and r.relkind in ('r', 'p', 'v', 'm', 'f')
  and to_regrole('anon') in (select oid from client)
  and has_column_privilege(to_regrole('anon'), r.oid, a.attnum, 'SELECT')
  and a.attname ~* '(^|_)(password|passwd|secret|token|api_?key|private_key|access_key|ssn|social_security|credit_card|card_number|cvv|iban|mrn|date_of_birth|dob|diagnosis|passport|encrypted_.*)(_hash)?$'
