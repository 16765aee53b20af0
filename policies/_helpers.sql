-- The functions that policies and triggers call. All are SECURITY INVOKER with an empty search_path, take no user
-- argument (an argument would make an oracle of them), and live outside every exposed schema.

CREATE FUNCTION chartchek_private.uid() RETURNS uuid
    LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER SET search_path = ''
    AS $$
        SELECT CASE WHEN auth.jwt() -> 'is_anonymous' = 'false'::jsonb THEN auth.uid() END
    $$;
REVOKE ALL ON FUNCTION chartchek_private.uid() FROM PUBLIC, anon, authenticated, service_role;
GRANT EXECUTE ON FUNCTION chartchek_private.uid() TO authenticated;
COMMENT ON FUNCTION chartchek_private.uid() IS 'The id of the signed-in person, or NULL: an anonymous sign-in, and a token whose claim is_anonymous is absent or no boolean, is nobody.';

CREATE FUNCTION chartchek_private.is_admin() RETURNS boolean
    LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER SET search_path = ''
    AS $$
        -- not through uid() above: whoever calls a policy has no USAGE on this schema, so its functions call no other
        SELECT coalesce(
            auth.jwt() -> 'is_anonymous' = 'false'::jsonb
            AND auth.jwt() -> 'app_metadata' ->> 'role' = 'admin'
            AND auth.uid() IS NOT NULL,
            false)
    $$;
REVOKE ALL ON FUNCTION chartchek_private.is_admin() FROM PUBLIC, anon, authenticated, service_role;
GRANT EXECUTE ON FUNCTION chartchek_private.is_admin() TO authenticated;
COMMENT ON FUNCTION chartchek_private.is_admin() IS 'Whether the signed-in person is an admin by app_metadata.role; user_metadata counts for nothing, since users edit it.';

CREATE FUNCTION chartchek_private.stamp_created_at() RETURNS trigger
    LANGUAGE plpgsql SECURITY INVOKER SET search_path = ''
    AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        NEW.created_at := OLD.created_at;
    ELSIF pg_catalog.row_security_active(TG_RELID) THEN
        NEW.created_at := pg_catalog.clock_timestamp();
    END IF;
    RETURN NEW;
END
$$;
REVOKE ALL ON FUNCTION chartchek_private.stamp_created_at() FROM PUBLIC, anon, authenticated, service_role;
COMMENT ON FUNCTION chartchek_private.stamp_created_at() IS 'created_at is the server''s, whatever a client sends, and never changes; a role that bypasses RLS keeps what it gives on insert.';

CREATE FUNCTION chartchek_private.stamp_created_and_updated_at() RETURNS trigger
    LANGUAGE plpgsql SECURITY INVOKER SET search_path = ''
    AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        NEW.created_at := OLD.created_at;
        NEW.updated_at := pg_catalog.clock_timestamp();
    ELSIF pg_catalog.row_security_active(TG_RELID) THEN
        NEW.created_at := pg_catalog.clock_timestamp();
        NEW.updated_at := NEW.created_at;
    END IF;
    RETURN NEW;
END
$$;
REVOKE ALL ON FUNCTION chartchek_private.stamp_created_and_updated_at() FROM PUBLIC, anon, authenticated, service_role;
COMMENT ON FUNCTION chartchek_private.stamp_created_and_updated_at() IS 'As stamp_created_at, and updated_at is the time of the last update.';

CREATE FUNCTION chartchek_private.stamp_created_and_updated_at_utc() RETURNS trigger
    LANGUAGE plpgsql SECURITY INVOKER SET search_path = ''
    AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        NEW.created_at := OLD.created_at;
        NEW.updated_at := pg_catalog.clock_timestamp() AT TIME ZONE 'utc';
    ELSIF pg_catalog.row_security_active(TG_RELID) THEN
        NEW.created_at := pg_catalog.clock_timestamp() AT TIME ZONE 'utc';
        NEW.updated_at := NEW.created_at;
    END IF;
    RETURN NEW;
END
$$;
REVOKE ALL ON FUNCTION chartchek_private.stamp_created_and_updated_at_utc() FROM PUBLIC, anon, authenticated, service_role;
COMMENT ON FUNCTION chartchek_private.stamp_created_and_updated_at_utc() IS 'As stamp_created_and_updated_at, for columns of type timestamp, in UTC.';

CREATE FUNCTION chartchek_private.check_message_author() RETURNS trigger
    LANGUAGE plpgsql SECURITY INVOKER SET search_path = ''
    AS $$
BEGIN
    IF NEW.user_id IS NULL OR NOT pg_catalog.row_security_active(TG_RELID) THEN
        RETURN NEW;
    END IF;
    IF TG_OP = 'UPDATE' THEN
        IF NEW.user_id IS NOT DISTINCT FROM OLD.user_id THEN
            RETURN NEW;
        END IF;
    END IF;
    IF NEW.user_id IS DISTINCT FROM auth.uid()::text THEN
        RAISE EXCEPTION USING
            ERRCODE = 'insufficient_privilege',
            MESSAGE = 'chat_messages.user_id names the author: it may be NULL or the id of the signed-in account',
            TABLE = 'chat_messages',
            COLUMN = 'user_id';
    END IF;
    RETURN NEW;
END
$$;
REVOKE ALL ON FUNCTION chartchek_private.check_message_author() FROM PUBLIC, anon, authenticated, service_role;
COMMENT ON FUNCTION chartchek_private.check_message_author() IS 'A client names nobody else as a message''s author; a value that an update leaves as it is passes, so that imported messages stay editable. A trigger, since a policy cannot see the old row.';
