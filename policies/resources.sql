-- Everyone signed in reads the resources; admins write them.
-- anon is granted nothing.

GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE public.resources TO authenticated, service_role;

CREATE POLICY resources_select ON public.resources FOR SELECT TO authenticated
    USING ((SELECT chartchek_private.uid()) IS NOT NULL);
CREATE POLICY resources_insert ON public.resources FOR INSERT TO authenticated
    WITH CHECK ((SELECT chartchek_private.is_admin()));
CREATE POLICY resources_update ON public.resources FOR UPDATE TO authenticated
    USING ((SELECT chartchek_private.is_admin()))
    WITH CHECK ((SELECT chartchek_private.is_admin()));
CREATE POLICY resources_delete ON public.resources FOR DELETE TO authenticated
    USING ((SELECT chartchek_private.is_admin()));

CREATE TRIGGER resources_stamp BEFORE INSERT OR UPDATE ON public.resources
    FOR EACH ROW EXECUTE FUNCTION chartchek_private.stamp_created_and_updated_at_utc();
