-- severity: warning
-- reach: sql
-- condition: A publication is FOR ALL TABLES, or for all tables of a schema.
-- effect: every table that is made later leaves the database with it, whether that was meant or not
-- remedy: make the publication anew, and name the tables that are meant

select b.pubname::text, format('publication %s takes every table%s', b.pubname, case when b.puballtables then '' else ' of a schema' end),
    '', null
from pg_publication b
where b.puballtables or exists (select from pg_publication_namespace n where n.pnpubid = b.oid)
