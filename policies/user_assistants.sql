-- An assistant belongs to the account in user_id.
-- anon is granted nothing.

GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE public.user_assistants TO authenticated, service_role;

CREATE POLICY user_assistants_select ON public.user_assistants FOR SELECT TO authenticated
    USING (user_id = (SELECT chartchek_private.uid()));
CREATE POLICY user_assistants_insert ON public.user_assistants FOR INSERT TO authenticated
    WITH CHECK (user_id = (SELECT chartchek_private.uid()));
CREATE POLICY user_assistants_update ON public.user_assistants FOR UPDATE TO authenticated
    USING (user_id = (SELECT chartchek_private.uid()))
    WITH CHECK (user_id = (SELECT chartchek_private.uid()));
CREATE POLICY user_assistants_delete ON public.user_assistants FOR DELETE TO authenticated
    USING (user_id = (SELECT chartchek_private.uid()));

CREATE TRIGGER user_assistants_stamp BEFORE INSERT OR UPDATE ON public.user_assistants
    FOR EACH ROW EXECUTE FUNCTION chartchek_private.stamp_created_at();
