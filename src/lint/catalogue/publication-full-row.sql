-- severity: error
-- reach: api
-- condition: A table with row security is in the publication that Realtime reads, and its replica identity is FULL.
-- effect: Realtime does not apply row security to DELETE, and with FULL each event carries the whole row
-- remedy: set the replica identity back, so that an event carries the key alone

select r.shown, format('deleted rows of %s are broadcast whole', r.shown), format('ALTER TABLE %s REPLICA IDENTITY DEFAULT;', r.name),
    'in publication supabase_realtime'
from relation r
where r.relreplident = 'f' and r.relrowsecurity and exists (
    select from pg_publication b where b.pubname = 'supabase_realtime' and (
        b.puballtables
        or exists (select from pg_publication_rel x where x.prpubid = b.oid and x.prrelid = r.oid)
        or exists (
            select from pg_publication_namespace x join pg_class c on c.relnamespace = x.pnnspid
            where x.pnpubid = b.oid and c.oid = r.oid
        )
    )
)
